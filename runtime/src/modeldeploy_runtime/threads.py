"""
Threads for work that may hang: bounded in number, started when they are needed, never waited for.

Every thread is a daemon, so that a load or a storage that hangs cannot keep the process alive.
"""

import collections
import contextlib
import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable

Work = Callable[[], None]

# A thread that has had nothing to do for so many seconds ends.
IDLE_SECONDS = 5.0
NICEST = 19

_log = logging.getLogger(__name__)


class Workers:
    """
    Runs work in at most so many threads; what comes later waits in the order in which it came.

    ``nice`` lowers the threads' claim to a processor below the process's own, where the system can
    do that for a thread.
    Threads may call ``submit`` at any time.
    """

    def __init__(self, name: str, limit: int, nice: int = 0) -> None:
        self._name = name
        self._limit = limit
        self._nice = nice
        self._queue: collections.deque[Work] = collections.deque()
        self._changed = threading.Condition()
        self._threads = self._idle = 0

    def submit(self, work: Work) -> None:
        """Have something done soon."""
        with self._changed:
            self._queue.append(work)
            if self._idle >= len(self._queue):
                self._changed.notify()
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        if self._nice:
            # Not every system knows the priority of a single thread.
            with contextlib.suppress(OSError, AttributeError):
                nice = os.getpriority(os.PRIO_PROCESS, os.getpid()) + self._nice
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(nice, NICEST))
        while work := self._next():
            try:
                work()
            except Exception:  # noqa: BLE001 - the thread goes on with the next work
                _log.exception("Work in a thread of %s failed.", self._name)
            # Whatever the work held must not live until the next one comes.
            del work

    def _next(self) -> Work | None:
        with self._changed:
            self._idle += 1
            try:
                if self._changed.wait_for(lambda: bool(self._queue), IDLE_SECONDS):
                    return self._queue.popleft()
                self._threads -= 1
                return None
            finally:
                self._idle -= 1


class Alarm:
    """Something that will be done at a certain time unless it is cancelled."""

    __slots__ = ("cancelled", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.cancelled = False

    def cancel(self) -> None:
        """Make sure that it is not begun any more."""
        self.cancelled = True


class Timers:
    """Calls short functions at their times, all from one thread; threads may call it any time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = itertools.count()
        self._alarms: list[tuple[float, int, Alarm]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, work: Work) -> Alarm:
        """Have something short done in so many seconds."""
        alarm = Alarm(work)
        with self._changed:
            due = time.monotonic() + seconds
            heapq.heappush(self._alarms, (due, next(self._count), alarm))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()
        return alarm

    def _run(self) -> None:
        while True:
            alarm = self._next()
            if not alarm.cancelled:
                try:
                    alarm.work()
                except Exception:  # noqa: BLE001 - the other timers go on
                    _log.exception("A timer of %s failed.", self._name)

    def _next(self) -> Alarm:
        with self._changed:
            while True:
                wait = self._alarms[0][0] - time.monotonic() if self._alarms else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._alarms)[2]
                self._changed.wait(wait)
