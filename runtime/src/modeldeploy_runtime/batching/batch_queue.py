"""
One queue of tasks of one kind, cut into batches as they come: pure.

This is the queue of TensorFlow's shared batch scheduler.  The last batch is open; a task that does
not fit into it closes it and opens the next one, or, where large tasks are split, fills it and goes
on in the next one.  Beyond that, a batch closes early when waiting for its time-out would cost one
of its tasks its deadline.

Times are seconds of one monotonic clock.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from modeldeploy_runtime.servables import errors


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """
    How a queue forms batches.

    ``max_batch_size`` bounds the rows of a task, ``max_execution_batch_size`` those of a batch;
    they differ only where large tasks are split.  ``batch_timeout`` is in seconds.
    """

    max_batch_size: int = 1000
    max_execution_batch_size: int = 1000
    batch_timeout: float = 0.0
    max_enqueued_batches: int = 10
    enable_large_batch_splitting: bool = False


class Queued(Protocol):
    """What a queue must know of a task."""

    @property
    def size(self) -> int:
        """How many rows the task has, at least 1."""

    @property
    def deadline(self) -> float:
        """When nobody waits for the answer any more."""


Work = TypeVar("Work", bound=Queued)


@dataclass(frozen=True, slots=True)
class Piece(Generic[Work]):
    """The rows of a task from ``start`` up to ``stop``; all of them, unless the task was split."""

    task: Work
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many rows these are."""
        return self.stop - self.start


@dataclass(slots=True)
class Batch(Generic[Work]):
    """Pieces that will be computed together, in the order in which they came."""

    pieces: list[Piece[Work]] = field(default_factory=list)
    size: int = 0
    closes_at: float = math.inf
    last_deadline: float = -math.inf

    def add(self, piece: Piece[Work], closes_at: float) -> None:
        """Take one piece in, and close by ``closes_at`` at the latest."""
        self.pieces.append(piece)
        self.size += piece.size
        self.closes_at = min(self.closes_at, closes_at)
        self.last_deadline = max(self.last_deadline, piece.task.deadline)


class BatchQueue(Generic[Work]):
    """
    Tasks that wait, in batches; one thread at a time.

    Every task that was accepted comes out of ``take`` or ``drop_late`` once, whole or in pieces, in
    the order of arrival.
    """

    def __init__(self, options: QueueOptions) -> None:
        self.options = options
        self._batches: deque[Batch[Work]] = deque()
        self._closed = False

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._batches)

    def __len__(self) -> int:
        """How many batches wait, the open one included."""
        return len(self._batches)

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return sum(batch.size for batch in self._batches)

    def close(self) -> None:
        """Wait for nothing any more: whatever is here is ready."""
        self._closed = True

    def offer(self, task: Work, now: float, run_seconds: float = 0.0) -> None:
        """
        Accept a task, or refuse it and change nothing.

        ``run_seconds`` is how long a batch is expected to be computed, so that the open batch
        closes early enough for the task's deadline.

        Raises:
            InvalidArgumentError: The task is larger than any may be.
            UnavailableError: The queue is full.
        """
        self._check_room(task)
        closes_at = min(now + self.options.batch_timeout, task.deadline - run_seconds)
        limit = self.options.max_execution_batch_size
        start = 0
        while start < task.size:
            free = limit - self._batches[-1].size if self._batches else 0
            left = task.size - start
            if free <= 0 or (free < left and not self.options.enable_large_batch_splitting):
                self._batches.append(Batch())
                free = limit
            stop = start + min(free, left)
            self._batches[-1].add(Piece(task, start, stop), closes_at)
            start = stop

    def ready_at(self) -> float:
        """Tell when the first batch may be taken: in the past for now, infinity for never."""
        if not self._batches:
            return math.inf
        first = self._batches[0]
        full = first.size >= self.options.max_execution_batch_size
        if full or len(self._batches) > 1 or self._closed:
            return -math.inf
        return first.closes_at

    def take(self) -> Batch[Work]:
        """Hand out the first batch, whether it is ready or not."""
        return self._batches.popleft()

    def drop_late(self, now: float) -> Iterator[Piece[Work]]:
        """Give up the leading batches for which nobody waits any more."""
        while self._batches and self._batches[0].last_deadline <= now:
            yield from self._batches.popleft().pieces

    def _check_room(self, task: Work) -> None:
        options = self.options
        if task.size > options.max_batch_size:
            raise errors.InvalidArgumentError(
                f"Task size {task.size} is larger than maximum input batch size "
                f"{options.max_batch_size}"
            )
        open_size = self._batches[-1].size if self._batches else 0
        # TensorFlow counts an empty queue as one open batch, so that it never refuses there.
        enqueued = max(1, len(self._batches))
        limit = options.max_execution_batch_size
        if options.enable_large_batch_splitting:
            allowed = max(1, options.max_enqueued_batches)
            capacity = (allowed - enqueued) * limit + limit - open_size
            if task.size > capacity:
                raise errors.UnavailableError(
                    f"{FULL}; task size is {task.size} but scheduling capacity is only {capacity} "
                    f"(num_enqueued_batches={enqueued}, "
                    f"max_enqueued_batches={options.max_enqueued_batches}, "
                    f"open_batch_size={open_size}, max_execution_batch_size={limit})"
                )
        elif open_size + task.size > limit and enqueued >= options.max_enqueued_batches:
            raise full(enqueued, options)


FULL = "The batch scheduling queue to which this task was submitted is full"


def full(enqueued: int, options: QueueOptions) -> errors.UnavailableError:
    """Say that no more batches may wait."""
    return errors.UnavailableError(
        f"{FULL}; currently {enqueued} batches enqueued and max_enqueued_batches is "
        f"{options.max_enqueued_batches}"
    )
