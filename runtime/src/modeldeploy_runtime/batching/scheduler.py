"""
The threads that compute batches, shared by all models.

``num_batch_threads`` is how many batches are computed at once, whoever computes them: a thread of
the pool, or the thread of a caller who found everything idle.
"""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Protocol

from modeldeploy_runtime.batching.batch_queue import Batch, Piece, QueueOptions
from modeldeploy_runtime.batching.rotation import Lane, Rotation
from modeldeploy_runtime.batching.tasks import Task
from modeldeploy_runtime.servables import errors


class Group(Hashable, Protocol):
    """Those requests that one call of a model can answer; known by its identity."""

    @property
    def options(self) -> QueueOptions:
        """How batches are formed."""

    @property
    def run_seconds(self) -> float:
        """How long before a deadline a batch must begin."""

    @property
    def is_cheap(self) -> bool:
        """Whether a batch is over so soon that another thread would only add to it."""

    def compute(self, pieces: list[Piece[Task]]) -> None:
        """Answer all pieces; raises nothing."""

    def drop(self, pieces: list[Piece[Task]]) -> None:
        """Answer pieces whose deadline has passed; raises nothing."""


_Taken = tuple[Group, Batch[Task]]


class Scheduler:
    """Forms batches and computes them; threads may call every method at any time."""

    def __init__(self, threads: int, name: str) -> None:
        self.threads = threads
        self._rotation: Rotation[Group, Task] = Rotation()
        self._running: Counter[Group] = Counter()
        self._lock = threading.Lock()
        # One waiting thread keeps the time for all, so that a time-out wakes it alone.
        self._idle = threading.Condition(self._lock)
        self._timer = threading.Condition(self._lock)
        self._done = threading.Condition(self._lock)
        self._idlers = 0
        self._timer_until: float | None = None
        # A thread has been woken and has not come yet: it will wake the next one if need be.
        self._woken = False
        for number in range(threads):
            # Daemons: a model that hangs must not keep the process from ending.
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True).start()

    def rows(self, group: Group) -> int:
        """Tell how many rows of a group wait now."""
        return self._rotation.rows(group)

    def run(self, lane: Lane[Group], task: Task) -> None:
        """
        Enqueue a task for which its thread is going to wait.

        Where nothing waits or is computed, the caller's thread computes it right here, as
        waking another one would only take longer.

        Raises:
            InvalidArgumentError: The task is larger than any may be.
            UnavailableError: The queue is full.
        """
        with _late(lane.group) as late, self._lock:
            is_idle = not self._rotation and not self._running
            self._offer(lane, task, late)
            taken = self._take() if is_idle else None
            if taken is None:
                self._wake()
        if taken is not None:
            self._compute(*taken)

    def submit(self, lane: Lane[Group], task: Task) -> None:
        """
        Enqueue a task for which nobody waits here; its thread calls ``help`` soon.

        Raises:
            InvalidArgumentError: The task is larger than any may be.
            UnavailableError: The queue is full.
        """
        with _late(lane.group) as late, self._lock:
            self._offer(lane, task, late)

    def help(self) -> None:
        """Compute here what is ready and cheap, and leave the rest to the pool."""
        while True:
            with self._lock:
                taken = self._take(lambda group: group.is_cheap)
                if taken is None:
                    self._wake()
                    return
            self._compute(*taken)

    def drain(self, groups: Collection[Group]) -> None:
        """Compute at once what waits in some groups, and return when nothing of it is left."""
        with self._lock:
            for group in groups:
                self._rotation.close(group)
            self._wake()
            self._done.wait_for(
                lambda: not any(self._running[g] or self._rotation.rows(g) for g in groups)
            )
            for group in groups:
                self._rotation.forget(group)

    def _offer(self, lane: Lane[Group], task: Task, late: list[Piece[Task]]) -> None:
        group, now = lane.group, time.monotonic()
        try:
            self._rotation.offer(lane, task, group.options, now, group.run_seconds)
        except errors.UnavailableError:
            late += self._rotation.drop_late(group, now)
            if not late:
                raise
            self._rotation.offer(lane, task, group.options, now, group.run_seconds)

    def _take(self, may: Callable[[Group], bool] | None = None) -> _Taken | None:
        if self._running.total() >= self.threads:
            return None
        taken = self._rotation.take(time.monotonic(), may)
        if taken is not None:
            self._running[taken[0]] += 1
            self._wake()
        return taken

    def _compute(self, group: Group, batch: Batch[Task]) -> None:
        try:
            group.compute(batch.pieces)
        finally:
            with self._lock:
                self._running[group] -= 1
                if not self._running[group]:
                    del self._running[group]
                self._done.notify_all()
                self._wake()

    def _work(self) -> None:
        while True:
            with self._lock:
                while (taken := self._take()) is None:
                    self._wait()
            self._compute(*taken)

    def _wait(self) -> None:
        """Sleep until there may be something to do."""
        ready_at = self._rotation.ready_at()
        keeps_time = self._timer_until is None and ready_at < math.inf
        if keeps_time and self._running.total() < self.threads:
            self._timer_until = ready_at
            self._timer.wait(max(0.0, ready_at - time.monotonic()))
            self._timer_until = None
        else:
            self._idlers += 1
            self._idle.wait()
            self._idlers -= 1
        self._woken = False

    def _wake(self) -> None:
        """Wake one thread if there is something for it to do, or a time to keep."""
        ready_at = self._rotation.ready_at()
        if self._woken or ready_at == math.inf or self._running.total() >= self.threads:
            return
        keeper = self._timer_until
        if self._idlers and (keeper is None or ready_at <= time.monotonic()):
            self._woken = True
            self._idle.notify()
        elif keeper is not None and ready_at < keeper:
            self._woken = True
            self._timer.notify()


@contextlib.contextmanager
def _late(group: Group) -> Iterator[list[Piece[Task]]]:
    """Drop what is put into the list, after the scheduler's lock has been given back."""
    late: list[Piece[Task]] = []
    try:
        yield late
    finally:
        if late:
            group.drop(late)
