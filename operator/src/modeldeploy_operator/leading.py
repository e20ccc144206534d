"""
From start to end: fill the memory, wait for the lease, act while it is held, and give it up.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from modeldeploy_operator.cluster.leases.lease import Lease
from modeldeploy_operator.cluster.port import ClusterError
from modeldeploy_operator.cluster.watching.cached import CachedKube
from modeldeploy_operator.queue import WorkQueue

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
GRACE_SECONDS = 10.0


class LostLeaseError(Exception):
    """
    Another operator leads; what this one remembers of its looks is worth nothing any more.
    """


async def lead(
    cached: CachedKube,
    queue: WorkQueue,
    lease: Lease | None,
    stop: asyncio.Event,
    operate: Callable[[], Awaitable[None]],
) -> None:
    """
    Run until told to stop.

    Raises:
        LostLeaseError: The lease was lost; a new process begins as a standby.

    """
    tasks = {asyncio.create_task(stop.wait()), asyncio.create_task(cached.run())}
    turn = asyncio.create_task(_act(cached, queue, lease, stop, operate))
    try:
        await asyncio.wait({*tasks, turn}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()  # kopf ends by itself then
        await queue.close()
        await _end(turn, seconds=1.2 * GRACE_SECONDS if queue.opened else 0)
        for task in tasks:
            await _end(task, seconds=0)
        if lease:
            await lease.release()
    for task in (turn, *tasks):  # the turn says best what happened, and may end after the others
        if not task.cancelled():
            task.result()


async def _act(
    cached: CachedKube,
    queue: WorkQueue,
    lease: Lease | None,
    stop: asyncio.Event,
    operate: Callable[[], Awaitable[None]],
) -> None:
    await cached.filled()
    if lease is None:
        queue.open()
        await operate()
        return
    await lease.acquire()
    keeping = asyncio.create_task(lease.keep())
    acting = asyncio.create_task(_renew_and_operate(cached, queue, operate))
    try:
        await asyncio.wait({keeping, acting}, return_when=asyncio.FIRST_COMPLETED)
        if keeping.done():
            keeping.result()
            stop.set()
            raise LostLeaseError
        acting.result()
    finally:
        await _end(acting, seconds=GRACE_SECONDS if queue.opened else 0)
        await _end(keeping, seconds=0)


async def _renew_and_operate(
    cached: CachedKube, queue: WorkQueue, operate: Callable[[], Awaitable[None]]
) -> None:
    """
    Begin with all that the last leader has written.
    """
    while True:
        try:
            await cached.renew()
            break
        except ClusterError as error:
            log.warning("The first look at the cluster failed: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
    queue.open()
    await operate()


async def _end(task: asyncio.Task[Any], seconds: float) -> None:
    """
    Give a task some time to end by itself, then cancel it; what it fails with is known by then.
    """
    if not task.done() and seconds:
        await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
