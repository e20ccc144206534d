"""
Queues are served in turn, and a group of them is bounded as a whole.
"""

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeldeploy_runtime.batching.batch_queue import QueueOptions
from modeldeploy_runtime.batching.rotation import Lane, Rotation
from modeldeploy_runtime.servables import errors


@dataclass(frozen=True)
class Job:
    """
    A task without content.
    """

    name: int
    size: int = 1
    deadline: float = math.inf


TWO = QueueOptions(max_batch_size=2, max_execution_batch_size=2)
LATER = QueueOptions(max_batch_size=2, max_execution_batch_size=2, batch_timeout=5.0)


def _take(rotation: Rotation[str, Job], now: float = 0.0) -> tuple[str, list[int]] | None:
    taken = rotation.take(now)
    return None if taken is None else (taken[0], [p.task.name for p in taken[1].pieces])


def test_lanes_take_turns() -> None:
    """
    A busy model gets one batch, and then it is the next one's turn.
    """
    rotation: Rotation[str, Job] = Rotation()
    for name in range(6):
        rotation.offer(Lane("busy", 0), Job(name), TWO, 0.0)
    rotation.offer(Lane("calm", 0), Job(9), TWO, 0.0)
    taken = [_take(rotation) for _ in range(5)]
    assert taken == [
        ("busy", [0, 1]),
        ("calm", [9]),
        ("busy", [2, 3]),
        ("busy", [4, 5]),
        None,
    ]
    assert not rotation


def test_a_lane_that_is_not_ready_holds_up_nobody() -> None:
    """
    The lane whose batch still waits is passed over, and the earliest time is known.
    """
    rotation: Rotation[str, Job] = Rotation()
    rotation.offer(Lane("waits", 0), Job(1), LATER, 0.0)
    rotation.offer(Lane("ready", 0), Job(2), TWO, 1.0)
    assert rotation.ready_at() == 1.0
    assert _take(rotation, 1.0) == ("ready", [2])
    assert _take(rotation, 1.0) is None
    assert rotation.ready_at() == 5.0
    assert _take(rotation, 5.0) == ("waits", [1])
    assert rotation.ready_at() == math.inf


def test_a_taker_may_be_choosy() -> None:
    """
    Who may compute some groups only is given none of the others.
    """
    rotation: Rotation[str, Job] = Rotation()
    rotation.offer(Lane("dear", 0), Job(1), TWO, 0.0)
    rotation.offer(Lane("cheap", 0), Job(2), TWO, 0.0)
    taken = rotation.take(0.0, lambda group: group == "cheap")
    assert taken is not None
    assert taken[0] == "cheap"
    assert rotation.take(0.0, lambda group: group == "cheap") is None


def test_kinds_do_not_mix_and_are_bounded_together() -> None:
    """
    Clients who vary the shape of their rows cannot make a group hold more than its bound.
    """
    rotation: Rotation[str, Job] = Rotation()
    bounded = QueueOptions(2, 2, 0.0, max_enqueued_batches=2)
    for kind in range(4):
        rotation.offer(Lane("one", kind), Job(kind), bounded, 0.0)
    with pytest.raises(errors.UnavailableError, match="currently 4 batches enqueued"):
        rotation.offer(Lane("one", 7), Job(7), bounded, 0.0)
    rotation.offer(Lane("other", 7), Job(8), bounded, 0.0)
    assert rotation.rows("one") == 4
    assert _take(rotation) == ("one", [0])
    assert rotation.rows("one") == 3


def test_what_nobody_waits_for_makes_room() -> None:
    """
    Late tasks leave all lanes of their group and no others.
    """
    rotation: Rotation[str, Job] = Rotation()
    rotation.offer(Lane("one", 0), Job(1, 1, 3.0), TWO, 0.0)
    rotation.offer(Lane("one", 1), Job(2, 1, 9.0), TWO, 0.0)
    rotation.offer(Lane("two", 0), Job(3, 1, 3.0), TWO, 0.0)
    assert [piece.task.name for piece in rotation.drop_late("one", 4.0)] == [1]
    assert rotation.rows("one") == 1
    assert rotation.rows("two") == 1


def test_a_closed_group_waits_for_nothing_until_it_is_forgotten() -> None:
    """
    What comes to a group that is being drained is ready at once, too.
    """
    rotation: Rotation[str, Job] = Rotation()
    rotation.offer(Lane("one", 0), Job(1), LATER, 0.0)
    rotation.offer(Lane("two", 0), Job(2), LATER, 0.0)
    rotation.close("one")
    rotation.offer(Lane("one", 1), Job(3), LATER, 0.0)
    assert [_take(rotation), _take(rotation), _take(rotation)] == [("one", [1]), ("one", [3]), None]
    rotation.forget("one")
    rotation.offer(Lane("one", 0), Job(4), LATER, 0.0)
    assert _take(rotation) is None


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 3))))
def test_rows_are_counted_and_nothing_is_lost(steps: list[tuple[str, int, int]]) -> None:
    """
    Whatever comes, each group's rows are those that were accepted and not taken yet.
    """
    rotation: Rotation[str, Job] = Rotation()
    waiting = {group: [0, 0, 0] for group in "abc"}
    for name, (group, kind, size) in enumerate(steps):
        if size:
            try:
                rotation.offer(Lane(group, kind), Job(name, size), TWO, 0.0)
            except errors.ServingError:
                continue
            waiting[group][kind] += size
        elif taken := rotation.take(0.0):
            sizes = waiting[taken[0]]
            assert taken[1].size <= 2
            before = sum(sizes)
            assert before >= taken[1].size
            waiting[taken[0]] = [before - taken[1].size, 0, 0]
        for known, sizes in waiting.items():
            assert rotation.rows(known) == sum(sizes)
    assert bool(rotation) == any(sum(sizes) for sizes in waiting.values())
