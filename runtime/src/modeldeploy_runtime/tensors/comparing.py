"""
Compares two answers to one request: the one comparison for whoever asks two versions the same.

Numbers with a fraction may differ by the tolerance, both absolutely and in proportion:
``|found - expected| <= tolerance * (1 + |expected|)``.  Whole numbers, booleans and strings must be
equal, as they name things.  An output that only the second answer has is no difference: nobody
reads it yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modeldeploy_runtime.tensors.dtypes import Array, show_shape


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    How two answers differ.

    Attributes:
        why: The first difference beyond the tolerance in words; empty where the answers match.
        largest: The largest absolute difference of two finite numbers.
        total: The sum of these differences.
        values: How many numbers were compared.
        flips: Rows of scores whose largest one stands elsewhere: another class.
        rows: How many such rows were compared.
    """

    why: str = ""
    largest: float = 0.0
    total: float = 0.0
    values: int = 0
    flips: int = 0
    rows: int = 0

    @property
    def matches(self) -> bool:
        """Tell whether the answers are the same, but for the tolerance."""
        return not self.why

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.why or other.why,
            max(self.largest, other.largest),
            self.total + other.total,
            self.values + other.values,
            self.flips + other.flips,
            self.rows + other.rows,
        )


SAME = Comparison()


def compare(
    expected: Mapping[str, Array], found: Mapping[str, Array], tolerance: float
) -> Comparison:
    """Compare two answers, output by output."""
    result = SAME
    for name in sorted(expected):
        if name not in found:
            result += Comparison(f"the output {name} is missing")
        else:
            result += compare_arrays(name, expected[name], found[name], tolerance)
    return result


def compare_arrays(name: str, expected: Array, found: Array, tolerance: float) -> Comparison:
    """Compare one output of both answers."""
    if expected.shape != found.shape:
        return Comparison(
            f"the output {name} has the shape {show_shape(found.shape)} instead of "
            f"{show_shape(expected.shape)}"
        )
    if _is_fractional(expected) and _is_fractional(found):
        return _compare_numbers(name, _widened(expected), _widened(found), tolerance)
    return _compare_names(name, expected, found)


def _is_fractional(array: Array) -> bool:
    return array.dtype.kind in "fcV"


def _widened(array: Array) -> Array:
    """Take numbers in double precision; bfloat16 is of a kind that numpy does not know."""
    return array if array.dtype.kind == "c" else array.astype(np.float64)


def _compare_numbers(name: str, expected: Array, found: Array, tolerance: float) -> Comparison:
    both = np.isfinite(expected) & np.isfinite(found)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(both, np.abs(found - expected), 0.0)
        allowed = np.where(both, tolerance * (1 + np.abs(expected)), 0.0)
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    wrong = np.where(both, difference > allowed, ~same)
    why = ""
    if wrong.any():
        where = np.unravel_index(int(np.argmax(wrong)), wrong.shape) if wrong.ndim else ()
        index = show_shape(tuple(map(int, where)))
        why = f"the output {name} is {found[where]:g} at {index} instead of {expected[where]:g}"
    largest = float(difference.max(initial=0.0))
    flips, rows = _count_flips(expected, found)
    return Comparison(why, largest, float(difference.sum()), int(both.sum()), flips, rows)


def _count_flips(expected: Array, found: Array) -> tuple[int, int]:
    if expected.ndim < 2 or expected.shape[-1] < 2 or expected.dtype.kind == "c":
        return 0, 0
    flipped = expected.argmax(axis=-1) != found.argmax(axis=-1)
    return int(flipped.sum()), int(flipped.size)


def _compare_names(name: str, expected: Array, found: Array) -> Comparison:
    for index, (one, other) in enumerate(zip(expected.flat, found.flat, strict=True)):
        one, other = _plain(one), _plain(other)  # noqa: PLW2901 - the same values, comparable
        if one != other:
            return Comparison(f"the output {name} is {other!r} at {index} instead of {one!r}")
    return SAME


def _plain(value: object) -> object:
    """Take a text as its bytes, and a number of numpy as Python's own."""
    if isinstance(value, str):
        return value.encode()
    return value.item() if isinstance(value, np.generic) else value
