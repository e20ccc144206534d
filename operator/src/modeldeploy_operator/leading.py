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
    Run until told to stop, until the lease is lost, or until `operate` ends.

    The lease is given up as soon as nothing is written any more, so that nobody waits for the rest.

    Raises:
        LostLeaseError: The lease was lost; a new process begins as a standby.

    """
    held = asyncio.Event()
    stopping, watching = asyncio.create_task(stop.wait()), asyncio.create_task(cached.run())
    holding = asyncio.create_task(_hold(cached, lease, held))
    acting = asyncio.create_task(_act(cached, queue, held, operate))
    tasks = (holding, acting, watching, stopping)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await queue.close()
        await _end(holding)
        if lease:
            await lease.release()
        for task in tasks:
            await _end(task)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def _hold(cached: CachedKube, lease: Lease | None, held: asyncio.Event) -> None:
    """
    Lead, once the memory is filled, until another one does.
    """
    await cached.filled()
    if lease is None:
        held.set()
        await asyncio.Event().wait()
        return
    await lease.acquire()
    held.set()
    await lease.keep()
    raise LostLeaseError


async def _act(
    cached: CachedKube,
    queue: WorkQueue,
    held: asyncio.Event,
    operate: Callable[[], Awaitable[None]],
) -> None:
    """
    Act while the lease is held, and begin with all that the last leader has written.
    """
    await held.wait()
    while True:
        try:
            await cached.renew()
            break
        except ClusterError as error:
            log.warning("The first look at the cluster failed: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
    queue.open()
    await operate()


async def _end(task: asyncio.Task[Any]) -> None:
    """
    Cancel a task and wait for its end; what it fails with is told later.
    """
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE_SECONDS)
