"""
Work that may wait until the client has its answer.

A bounded queue and one thread: putting something in costs a microsecond and never blocks, and what
does not fit is dropped and counted.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

# More than a second's worth of a busy server.
LIMIT = 20_000

_log = logging.getLogger(__name__)


class Background(Generic[Item]):
    """Hands items to a function in a thread of its own, in order and in groups."""

    def __init__(self, name: str, handle: Callable[[list[Item]], None], limit: int = LIMIT) -> None:
        self._handle = handle
        self._limit = limit
        self._waiting: deque[Item] = deque()
        self._something = threading.Event()
        self._closed = False
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many items have found the queue full."""
        return self._dropped

    def put(self, item: Item) -> None:
        """Take an item, or drop it where too many wait; threads may race by a few items."""
        if len(self._waiting) >= self._limit:
            self._dropped += 1
            return
        self._waiting.append(item)
        if not self._something.is_set():
            self._something.set()

    def close(self, timeout: float) -> None:
        """Handle what is there and end, within so many seconds."""
        self._closed = True
        self._something.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._something.wait()
            # Cleared before looking: whatever comes from here on sets it again.
            self._something.clear()
            group = []
            while self._waiting:
                group.append(self._waiting.popleft())
            if group:
                self._try(group)
            if self._closed and not self._waiting:
                return

    def _try(self, group: list[Item]) -> None:
        try:
            self._handle(group)
        except Exception:  # noqa: BLE001 - the next group may do
            _log.exception("%s failed.", self._thread.name)
