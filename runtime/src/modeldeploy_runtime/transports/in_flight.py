"""Counts the requests that are being answered, so that a shutdown can say what it cut."""

import threading
from types import TracebackType


class InFlight:
    """
    A counter to be entered by each request; threads may enter and leave at any time.

    ``cut`` counts those that were ended before their answer; the event loop's thread alone sets it.
    """

    def __init__(self) -> None:
        self.cut = 0
        self._count = 0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many requests are being answered now."""
        return self._count

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._count -= 1
