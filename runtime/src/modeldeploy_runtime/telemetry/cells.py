"""
Counts in memory: the cells that requests add to, and the families that they belong to.

A request finds its cells once by its labels and adds to them under one lock, which costs about a
microsecond for all of them together; whatever is slow happens when somebody reads.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Generic, TypeVar

from modeldeploy_runtime.telemetry.exposition import Buckets, Definition, Family, Labels


class Number:
    """A counter or a gauge; whoever changes ``value`` holds the store's lock."""

    __slots__ = ("value",)

    def __init__(self, _: Definition) -> None:
        self.value: float = 0

    def read(self) -> float:
        """Give the value."""
        return self.value


class Distribution:
    """A histogram's series; whoever adds to it holds the store's lock."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, definition: Definition) -> None:
        self._bounds = definition.bounds
        self._counts = [0] * (len(definition.bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def add_many(self, counts: list[int], total: float) -> None:
        """Count values that somebody else has sorted into the same buckets."""
        self._counts = [mine + more for mine, more in zip(self._counts, counts, strict=True)]
        self._total += total

    def read(self) -> Buckets:
        """Copy the counts."""
        return Buckets(tuple(self._counts), self._total)


Cell = TypeVar("Cell", Number, Distribution)


class Cells(Generic[Cell]):
    """The series of one metric; whoever uses them holds the store's lock."""

    def __init__(self, definition: Definition, make: Callable[[Definition], Cell]) -> None:
        self.definition = definition
        self._make: Callable[[Definition], Cell] = make
        self._cells: dict[Labels, Cell] = {}

    def of(self, *labels: str) -> Cell:
        """Find the cell of these labels, or make it."""
        cell = self._cells.get(labels)
        if cell is None:
            cell = self._cells[labels] = self._make(self.definition)
        return cell

    def forget(self, is_gone: Callable[[dict[str, str]], bool]) -> None:
        """Drop the series whose labels a function calls gone."""
        names = self.definition.labels
        for labels in list(self._cells):
            if is_gone(dict(zip(names, labels, strict=True))):
                del self._cells[labels]

    def read(self) -> Family:
        """Copy all series."""
        return Family(self.definition, {key: cell.read() for key, cell in self._cells.items()})


class Store:
    """All cells of a server, under one lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._all: list[Cells[Number] | Cells[Distribution]] = []

    def numbers(self, definition: Definition) -> Cells[Number]:
        """Add a counter or a gauge."""
        cells = Cells(definition, Number)
        self._all.append(cells)
        return cells

    def distributions(self, definition: Definition) -> Cells[Distribution]:
        """Add a histogram."""
        cells = Cells(definition, Distribution)
        self._all.append(cells)
        return cells

    def forget(self, is_gone: Callable[[dict[str, str]], bool]) -> None:
        """Drop series everywhere; the caller holds the lock."""
        for cells in self._all:
            cells.forget(is_gone)

    def read(self) -> list[Family]:
        """Copy everything, consistent in itself."""
        with self.lock:
            return [cells.read() for cells in self._all]
