"""
Batches form as in TensorFlow's shared batch scheduler, and no task is lost on the way.
"""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeldeploy_runtime.batching.batch_queue import BatchQueue, QueueOptions
from modeldeploy_runtime.servables import errors


@dataclass(frozen=True)
class Job:
    """
    A task without content.
    """

    name: int
    size: int = 1
    deadline: float = math.inf


def _queue(**options: float) -> BatchQueue[Job]:
    size = options.pop("size", 4)
    execution = options.pop("execution", size)
    return BatchQueue(
        QueueOptions(max_batch_size=size, max_execution_batch_size=execution, **options)  # type: ignore[arg-type]  # ints and bools
    )


def _names(queue: BatchQueue[Job]) -> list[tuple[int, int, int]]:
    return [(p.task.name, p.start, p.stop) for p in queue.take().pieces]


def test_without_a_time_out_whatever_waits_is_ready() -> None:
    """
    A time-out of 0 takes what is there when a thread is free.
    """
    queue = _queue()
    assert queue.ready_at() == math.inf
    queue.offer(Job(1), 10.0)
    queue.offer(Job(2, 2), 11.0)
    assert queue.ready_at() == 10.0
    assert _names(queue) == [(1, 0, 1), (2, 0, 2)]
    assert not queue


def test_a_batch_waits_from_its_first_task_until_it_is_full() -> None:
    """
    The time-out counts from the batch's first task, and a full batch does not wait for it.
    """
    queue = _queue(batch_timeout=5.0)
    queue.offer(Job(1), 10.0)
    queue.offer(Job(2), 14.0)
    assert queue.ready_at() == 15.0
    queue.offer(Job(3, 2), 14.5)
    assert queue.ready_at() == -math.inf


def test_a_task_that_does_not_fit_closes_the_batch() -> None:
    """
    Tasks stay whole: the batch before is ready at once, and the new one waits in turn.
    """
    queue = _queue(batch_timeout=5.0)
    queue.offer(Job(1, 3), 10.0)
    queue.offer(Job(2, 2), 11.0)
    assert queue.ready_at() == -math.inf
    assert _names(queue) == [(1, 0, 3)]
    assert queue.ready_at() == 16.0


def test_a_large_task_is_split_where_that_is_wanted() -> None:
    """
    A task of 7 fills the 2 rows that are free, and then batches of 4: 2 + 4 + 1.
    """
    queue = _queue(size=10, execution=4, enable_large_batch_splitting=True)
    queue.offer(Job(1, 2), 0.0)
    queue.offer(Job(2, 7), 0.0)
    assert _names(queue) == [(1, 0, 2), (2, 0, 2)]
    assert _names(queue) == [(2, 2, 6)]
    assert _names(queue) == [(2, 6, 7)]


def test_a_tight_deadline_closes_the_batch_early() -> None:
    """
    A batch does not wait so long that computing it, in 2 s, would come after a deadline at 13.
    """
    queue = _queue(batch_timeout=5.0)
    queue.offer(Job(1), 10.0, 2.0)
    queue.offer(Job(2, 1, 13.0), 10.5, 2.0)
    assert queue.ready_at() == 11.0


def test_too_large_a_task_is_refused() -> None:
    """
    The message is TensorFlow Serving's.
    """
    with pytest.raises(errors.InvalidArgumentError) as caught:
        _queue(size=32).offer(Job(1, 50), 0.0)
    assert caught.value.message == "Task size 50 is larger than maximum input batch size 32"


def test_a_full_queue_refuses() -> None:
    """
    The open batch counts, and a task that still fits into it is accepted.
    """
    queue = _queue(max_enqueued_batches=2)
    for name in (1, 2):
        queue.offer(Job(name, 3), 0.0)
    with pytest.raises(errors.UnavailableError) as caught:
        queue.offer(Job(3, 2), 0.0)
    assert caught.value.message == (
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches "
        "enqueued and max_enqueued_batches is 2"
    )
    queue.offer(Job(4, 1), 0.0)
    assert len(queue) == 2


def test_a_full_queue_that_splits_says_how_much_it_would_take() -> None:
    """
    Where tasks are split, the rows that are left count, not the batches.
    """
    queue = _queue(size=10, execution=4, enable_large_batch_splitting=True, max_enqueued_batches=2)
    queue.offer(Job(1, 5), 0.0)
    with pytest.raises(errors.UnavailableError, match="scheduling capacity is only 3 "):
        queue.offer(Job(2, 4), 0.0)
    queue.offer(Job(3, 3), 0.0)


def test_a_closed_queue_waits_for_nothing() -> None:
    """
    What is left of a version that goes is computed at once.
    """
    queue = _queue(batch_timeout=5.0)
    queue.offer(Job(1), 10.0)
    queue.close()
    assert queue.ready_at() == -math.inf


def test_batches_for_which_nobody_waits_make_room() -> None:
    """
    A batch goes when the last of its deadlines has passed.
    """
    queue = _queue(size=2, max_enqueued_batches=2)
    for name, deadline in enumerate((1.0, 2.0, 9.0, 1.0)):
        queue.offer(Job(name, 1, deadline), 0.0)
    assert [piece.task.name for piece in queue.drop_late(2.0)] == [0, 1]
    assert not list(queue.drop_late(2.0))
    assert len(queue) == 1


@settings(deadline=None, max_examples=300)
@given(
    steps=st.lists(st.integers(0, 12), max_size=60),
    size=st.integers(1, 8),
    execution=st.integers(1, 8),
    batches=st.integers(0, 4),
    splitting=st.booleans(),
)
def test_every_accepted_row_comes_out_once_and_in_order(
    steps: list[int], size: int, execution: int, batches: int, *, splitting: bool
) -> None:
    """
    Whatever comes, no task is lost or doubled, the order holds, and no batch is too large.
    """
    execution = min(execution, size) if splitting else size
    queue = _queue(
        size=size,
        execution=execution,
        max_enqueued_batches=batches,
        enable_large_batch_splitting=splitting,
    )
    accepted, out = [], []
    for name, step in enumerate(steps):
        if step:
            try:
                queue.offer(Job(name, step), float(name))
                accepted += [(name, row) for row in range(step)]
            except errors.ServingError:
                pass
        elif queue:
            out.append(queue.take())
        assert len(queue) <= max(1, batches)
        assert queue.rows == len(accepted) - sum(batch.size for batch in out)
    while queue:
        out.append(queue.take())
    assert all(0 < batch.size <= execution for batch in out)
    assert all(batch.size == sum(piece.size for piece in batch.pieces) for batch in out)
    rows = [
        (piece.task.name, row)
        for batch in out
        for piece in batch.pieces
        for row in range(piece.start, piece.stop)
    ]
    assert rows == accepted
    if not splitting:
        assert all(piece.size == piece.task.size for batch in out for piece in batch.pieces)


@settings(deadline=None, max_examples=200)
@given(
    tasks=st.lists(
        st.tuples(st.floats(0, 3), st.one_of(st.just(math.inf), st.floats(0, 9))), min_size=1
    ),
    timeout=st.floats(0, 5),
    run_seconds=st.floats(0, 2),
)
def test_no_batch_waits_longer_than_its_time_out_or_its_deadlines(
    tasks: list[tuple[float, float]], timeout: float, run_seconds: float
) -> None:
    """
    A batch is ready no later than its first task's time-out, and early enough for each deadline.
    """
    queue = _queue(size=1000, batch_timeout=timeout)
    now = first = 0.0
    for number, (pause, slack) in enumerate(tasks):
        now += pause
        first = now if not number else first
        queue.offer(Job(number, 1, now + slack), now, run_seconds)
        assert queue.ready_at() <= first + timeout
        assert queue.ready_at() <= now + slack - run_seconds
