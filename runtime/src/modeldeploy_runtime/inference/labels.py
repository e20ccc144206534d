"""
What labels mean: a label follows its version, and moves only when the new one can answer.

A configuration may name a version that is still being loaded.  The label stays where it was until
that version is available, so that a move of a label never fails a request.
"""

import threading
from collections.abc import Callable, Mapping

Available = Callable[[int], bool]


class _Label:
    """A label's version, and the one that answers until that is available, if there is one."""

    __slots__ = ("former", "target")

    def __init__(self, target: int, former: int | None) -> None:
        self.target = target
        self.former = former

    @property
    def current(self) -> int:
        return self.target if self.former is None else self.former


class Labels:
    """The labels of all models; threads may call every method at any time."""

    def __init__(self, wanted: Mapping[str, Mapping[str, int]]) -> None:
        self._table: dict[str, dict[str, _Label]] = {}
        self._lock = threading.Lock()
        self.replace(wanted)

    def replace(self, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """Take a whole new set of labels at once; what is left out is gone."""
        with self._lock:
            self._table = {
                name: {label: self._label(name, label, target) for label, target in labels.items()}
                for name, labels in wanted.items()
            }

    def _label(self, name: str, label: str, target: int) -> _Label:
        known = self._table.get(name, {}).get(label)
        if known is None or known.current == target:
            return _Label(target, None)
        return _Label(target, known.current)

    def resolve(self, name: str, label: str, available: Available) -> int | None:
        """Find the version that a label means now, or ``None`` where there is no such label."""
        known = self._table.get(name, {}).get(label)
        if known is None:
            return None
        if known.former is not None and (available(known.target) or not available(known.former)):
            # One way only: a label never goes back to what it has left.
            known.former = None
        return known.current

    def of(self, name: str, available: Available) -> dict[str, int]:
        """List a model's labels with the versions that they mean now."""
        found = {label: self.resolve(name, label, available) for label in self._table.get(name, {})}
        return {label: version for label, version in found.items() if version is not None}
