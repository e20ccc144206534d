"""
All queues of a server, and whose turn it is: pure.

A *lane* is a group of requests that may share a batch; its key is a pair of the group that bounds
it together with its sisters, and of what its requests have in common (the shapes of their inputs).
A lane exists while something waits in it, so that clients who invent shapes cost no memory.
"""

import math
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from modeldeploy_runtime.batching import batch_queue
from modeldeploy_runtime.batching.batch_queue import (
    Batch,
    BatchQueue,
    Piece,
    Queued,
    QueueOptions,
)

Group = TypeVar("Group", bound=Hashable)
Work = TypeVar("Work", bound=Queued)


class Lane(NamedTuple, Generic[Group]):
    """The key of a queue: who computes, and what its requests have in common."""

    group: Group
    kind: Hashable


class Rotation(Generic[Group, Work]):
    """
    Serves the lanes in turn, one batch each; one thread at a time.

    The rows of all lanes of a group together are bounded as those of a single queue would be.
    """

    def __init__(self) -> None:
        # In the order in which they will be asked.
        self._lanes: dict[Lane[Group], BatchQueue[Work]] = {}
        self._rows: dict[Group, int] = {}
        self._closed: set[Group] = set()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._lanes)

    def rows(self, group: Group) -> int:
        """How many rows of a group wait."""
        return self._rows.get(group, 0)

    def offer(
        self,
        lane: Lane[Group],
        task: Work,
        options: QueueOptions,
        now: float,
        run_seconds: float = 0.0,
    ) -> None:
        """
        Accept a task into its lane, or refuse it and change nothing.

        Raises:
            InvalidArgumentError: The task is larger than any may be.
            UnavailableError: The queue is full.
        """
        rows = self._rows.get(lane.group, 0)
        queue = self._lanes.get(lane)
        if queue is None:
            queue = BatchQueue(options)
        allowed = max(1, options.max_enqueued_batches) * options.max_execution_batch_size
        # Where nothing waits in other lanes, the lane's own check says more.
        if rows + task.size > allowed and rows > queue.rows:
            enqueued = sum(len(q) for known, q in self._lanes.items() if known.group == lane.group)
            raise batch_queue.full(enqueued, options)
        queue.offer(task, now, run_seconds)
        self._lanes[lane] = queue
        self._rows[lane.group] = rows + task.size
        if lane.group in self._closed:
            queue.close()

    def ready_at(self) -> float:
        """Tell when there is something to take: in the past for now, infinity for never."""
        return min((queue.ready_at() for queue in self._lanes.values()), default=math.inf)

    def take(
        self, now: float, may: Callable[[Group], bool] | None = None
    ) -> tuple[Group, Batch[Work]] | None:
        """Hand out a batch of the next lane that has one ready, of those groups that ``may``."""
        for lane, queue in self._lanes.items():
            if queue.ready_at() <= now and (may is None or may(lane.group)):
                batch = queue.take()
                self._account(lane, batch.size)
                return lane.group, batch
        return None

    def drop_late(self, group: Group, now: float) -> list[Piece[Work]]:
        """Give up what nobody waits for any more, so that a full group has room again."""
        late: list[Piece[Work]] = []
        for lane, queue in [item for item in self._lanes.items() if item[0].group == group]:
            dropped = list(queue.drop_late(now))
            if dropped:
                self._account(lane, sum(piece.size for piece in dropped))
            late += dropped
        return late

    def close(self, group: Group) -> None:
        """Wait for nothing any more in a group: whatever is or comes here is ready."""
        self._closed.add(group)
        for lane, queue in self._lanes.items():
            if lane.group == group:
                queue.close()

    def forget(self, group: Group) -> None:
        """Forget a closed group in which nothing waits."""
        self._closed.discard(group)

    def _account(self, lane: Lane[Group], rows: int) -> None:
        """Note that rows have left a lane, and send it to the end of the line."""
        queue = self._lanes.pop(lane)
        if queue:
            self._lanes[lane] = queue
        left = self._rows[lane.group] - rows
        if left:
            self._rows[lane.group] = left
        else:
            del self._rows[lane.group]
