"""
The work queue: calls are coalesced, failures back off, and nothing is looked at twice at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from modeldeploy_operator import queue
from modeldeploy_operator.cluster.port import ClusterError, ConflictError, ObjectGoneError
from modeldeploy_operator.queue import WorkQueue

Look = Callable[[str, str], Awaitable[datetime | None]]


class Looks:
    """
    Counts looks and lets a test decide when each ends, and how.
    """

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.running = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.again: datetime | None = None
        self.error: Exception | None = None

    async def __call__(self, namespace: str, name: str) -> datetime | None:
        """
        Look, once the gate is open.
        """
        self.begun.append((namespace, name))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.error:
            raise self.error
        return self.again


@asynccontextmanager
async def _queue(look: Look, workers: int = 8) -> AsyncIterator[WorkQueue]:
    made = WorkQueue(look, workers=workers, resync_seconds=1_000)
    try:
        yield made
    finally:
        await made.close()


async def _soon(turns: int = 20) -> None:
    """
    Let everything that can run now run.
    """
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_many_calls_make_one_more_look() -> None:
    """
    While an object is looked at, any number of calls make exactly one more look.
    """
    looks = Looks()
    async with _queue(looks) as work:
        looks.gate.clear()
        work.ask("vision", "mnist")
        await _soon()
        for _ in range(10):
            work.ask("vision", "mnist")
        looks.gate.set()
        await _soon()
    assert len(looks.begun) == 2
    assert looks.most == 1


async def test_objects_are_looked_at_side_by_side_up_to_a_limit() -> None:
    """
    Different objects do not wait for one another, as far as the workers go.
    """
    looks = Looks()
    async with _queue(looks, workers=2) as work:
        looks.gate.clear()
        for name in ("one", "two", "three"):
            work.ask("vision", name)
        await _soon()
        assert len(looks.begun) == 2
        looks.gate.set()
        await _soon()
    assert len(looks.begun) == 3
    assert looks.most == 2


async def test_a_look_that_asks_for_another_gets_it() -> None:
    """
    The time at which to look again is kept, without anybody asking.
    """
    looks = Looks()
    looks.again = datetime.now(UTC)
    async with _queue(looks) as work:
        work.ask("vision", "mnist")
        await asyncio.sleep(0.12)
    assert len(looks.begun) >= 2


async def test_an_object_at_rest_is_not_looked_at() -> None:
    """
    Without an event, only the resync looks again, and that far away.
    """
    looks = Looks()
    async with _queue(looks) as work:
        work.ask("vision", "mnist")
        await asyncio.sleep(0.01)
        delay, failed = await work._once(("vision", "mnist"), 0)
    assert len(looks.begun) == 2
    assert 800 <= delay <= 1_200
    assert not failed


async def test_a_time_that_is_past_means_soon() -> None:
    """
    A look that is late by its own clock does not spin.
    """
    looks = Looks()
    looks.again = datetime.now(UTC) - timedelta(hours=1)
    async with _queue(looks) as work:
        assert await work._once(("vision", "mnist"), 0) == (0.05, False)


@pytest.mark.parametrize("error", [ClusterError("away"), ValueError("a defect")])
async def test_failures_back_off(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """
    Each failure in a row doubles the delay, up to a minute, with jitter; and it is logged.
    """
    looks = Looks()
    looks.error = error
    key = ("vision", "mnist")
    async with _queue(looks) as work:
        for failures, longest in ((0, 0.5), (1, 1.0), (3, 4.0), (20, 60.0), (2_000, 60.0)):
            delay, failed = await work._once(key, min(failures, 900))
            assert failed
            assert longest / 2 <= delay <= longest
    assert "vision/mnist" in {getattr(record, "deployment", "") for record in caplog.records}


async def test_a_conflict_is_no_failure() -> None:
    """
    Somebody wrote in between: look again soon, and do not back off.
    """
    looks = Looks()
    looks.error = ConflictError("modified")
    async with _queue(looks) as work:
        assert await work._once(("vision", "mnist"), 7) == (queue.FIRST_DELAY, False)


async def test_a_failing_object_is_tried_again() -> None:
    """
    A failure does not end the tending of an object, and a call in between ends its wait.
    """
    looks = Looks()
    looks.error = ClusterError("away")
    async with _queue(looks) as work:
        work.ask("vision", "mnist")
        await _soon()
        assert len(looks.begun) == 1
        looks.error = None
        work.ask("vision", "mnist")
        await _soon()
    assert len(looks.begun) == 2


async def test_an_object_that_is_gone_is_forgotten_until_somebody_asks() -> None:
    """
    A look that finds no object ends the task; a later event begins another.
    """
    looks = Looks()
    looks.error = ObjectGoneError("mnist is not there")
    async with _queue(looks) as work:
        work.ask("vision", "mnist")
        await _soon()
        assert len(looks.begun) == 1
        assert not work._tasks
        work.ask("vision", "mnist")
        await _soon()
    assert len(looks.begun) == 2


async def test_an_object_that_comes_back_while_it_is_found_gone_is_looked_at_again() -> None:
    """
    An event that arrives during the look that finds nothing is not lost.
    """
    looks = Looks()
    looks.error = ObjectGoneError("mnist is not there")
    async with _queue(looks) as work:
        looks.gate.clear()
        work.ask("vision", "mnist")
        await _soon()
        work.ask("vision", "mnist")
        looks.gate.set()
        await _soon()
    assert len(looks.begun) == 2


async def test_a_queue_that_is_held_looks_when_it_is_opened() -> None:
    """
    What was asked for meanwhile is looked at then, once, and its waiting counts from then.
    """
    looks = Looks()
    work = WorkQueue(looks, workers=8, resync_seconds=1_000, held=True)
    work.ask("vision", "mnist")
    work.ask("vision", "mnist")
    await _soon()
    assert not looks.begun
    assert work.age() == 0.0
    work.open()
    await _soon()
    assert looks.begun == [("vision", "mnist")]
    assert work.age() == 0.0
    await work.close()


async def test_the_queue_knows_how_long_an_object_waits() -> None:
    """
    A look that does not end, and one that waits for its turn behind it, have an age.
    """
    looks = Looks()
    looks.gate.clear()
    async with _queue(looks, workers=1) as work:
        work.ask("vision", "a")
        await _soon()
        assert 0.0 < work.age() < 60.0
        looks.gate.set()
        await _soon()
        assert work.age() == 0.0


async def test_closing_ends_also_what_is_asked_for_at_that_moment() -> None:
    """
    A question that meets the end is forgotten, and so is every later one; nothing hangs.
    """
    looks = Looks()
    work = WorkQueue(looks, workers=8, resync_seconds=1_000)
    work.ask("vision", "mnist")
    await _soon()
    work.ask("vision", "mnist")
    async with asyncio.timeout(5):
        await work.close()
    work.ask("vision", "mnist")
    await _soon()
    assert looks.begun == [("vision", "mnist")]
