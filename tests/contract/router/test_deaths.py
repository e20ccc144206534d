"""
Deaths of a router, of its parts one by one and of all at once: who waits, and who fails.

Every client opens a new connection for each request, since connections that are open die with
HAProxy in any case.
"""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import pytest

from testkit.load import GrpcClient, RestClient, Tally, send_many
from testkit.routers import STABLE, Bench, routing, until

CLIENTS = 3
"""Clients of each protocol, and so the requests of each that can be in flight."""
LISTENING = "0A"
"""The state of a listening socket in the kernel's table."""


class Newcomers:
    """
    Clients that never keep a connection, running until the block ends.
    """

    def __init__(self, router: Bench) -> None:
        self.tally = Tally()
        self._router = router
        self._over = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        kinds: tuple[Callable[[], Awaitable[None]], ...] = (self._rest, self._rpc)
        self._tasks = [
            asyncio.create_task(self._send(kind)) for kind in kinds for _ in range(CLIENTS)
        ]
        await self.answered(50)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def answered(self, more: int) -> None:
        """
        Wait until so many more requests were answered.
        """
        goal = self.tally.total + more
        await asyncio.to_thread(until, lambda: self.tally.total >= goal, f"{more} more answers")

    async def _send(self, kind: Callable[[], Awaitable[None]]) -> None:
        while not self._over:
            await kind()

    async def _rest(self) -> None:
        client = RestClient(self._router.address)
        await client.predict(self.tally)
        client.close()

    async def _rpc(self) -> None:
        client = GrpcClient(self._router.address)
        await client.predict(self.tally)
        await client.aclose()


def check(newcomers: Newcomers) -> None:
    """
    Check that no more failed than was in flight, and that nobody was refused.
    """
    failures = newcomers.tally.failures
    assert failures.total() <= 2 * CLIENTS, failures
    assert not [what for what in failures if "refused" in what or "503" in what], failures


def another_haproxy(router: Bench, gone: int) -> int:
    """
    Wait until a HAProxy runs and answers that is not the one that is gone.
    """
    until(lambda: router.haproxy() not in (0, gone), "another HAProxy runs")
    until(lambda: router.get("/healthz")[0] == 200, "HAProxy answers")
    return router.haproxy()


async def test_haproxy_that_dies_is_started_again_while_clients_wait(router: Bench) -> None:
    """
    The agent has the sockets, starts HAProxy with all that it knows, and stays ready.
    """
    router.route(routing(3, 5000))
    router.start()
    first = router.haproxy()
    async with Newcomers(router) as newcomers:
        os.kill(first, signal.SIGKILL)
        await asyncio.to_thread(another_haproxy, router, first)
        await newcomers.answered(200)
    check(newcomers)
    assert set(newcomers.tally.versions) == {"1", "2"}
    assert "HAProxy ended with status -9" in router.log()
    status = router.status()
    assert (status["generation"], status["weight"]) == (3, 5000)
    assert router.is_ready()
    router.route(routing(4))
    router.pool("b")
    router.confirmed(4)
    until(lambda: router.slot("b")["up"] == 0, "a server of the new life can be taken out")


async def test_a_new_life_counts_from_zero(router: Bench, rest: RestClient) -> None:
    """
    The status tells of counts and their beginning together.
    """
    router.route(routing(1))
    router.start()
    await send_many(rest.predict, 30, 1)
    first = router.haproxy()
    os.kill(first, signal.SIGKILL)
    another_haproxy(router, first)
    rest.close()
    await send_many(rest.predict, 5, 1)
    assert router.slot("a")["requests"] == 5


async def test_a_haproxy_that_keeps_dying_is_for_the_kubelet(router: Bench) -> None:
    """
    The agent ends with an error after the sixth death within a minute.
    """
    router.route(routing(1))
    router.start()
    assert router.process
    last = 0
    for _ in range(6):
        last = another_haproxy(router, last)
        os.kill(last, signal.SIGKILL)
    assert await asyncio.to_thread(router.process.wait, 10) == 1
    assert "HAProxy died 6 times in 60 s." in router.log()


@pytest.mark.parametrize("lives", [1, 2])
async def test_clients_wait_for_a_container_that_was_killed(router: Bench, lives: int) -> None:
    """
    The keeper has the sockets; the next life learns where to send them before it lets them in.

    A keeper that was killed itself gets the sockets again.
    """
    router.route(routing(3, 5000))
    router.start_keeper()
    router.start()
    if lives == 2:
        router.kill_keeper()
        router.start_keeper()
        until(lambda: _held(router) == 2, "the second keeper has the sockets")
    async with Newcomers(router) as newcomers:
        await asyncio.to_thread(router.end)
        await asyncio.to_thread(router.start)
        await newcomers.answered(200)
    check(newcomers)
    assert set(newcomers.tally.versions) == {"1", "2"}


def _held(router: Bench) -> int:
    """
    Count the sockets that listen on TCP among the keeper's files.
    """
    assert router.keeper
    process = Path(f"/proc/{router.keeper.pid}")
    files = [str(file.readlink()) for file in (process / "fd").iterdir()]
    sockets = {file.removeprefix("socket:[").removesuffix("]") for file in files}
    rows = [line.split() for line in (process / "net" / "tcp").read_text().splitlines()]
    return sum(row[3] == LISTENING and row[9] in sockets for row in rows)


async def test_without_the_api_server_the_next_life_goes_by_file_and_names(router: Bench) -> None:
    """
    A client that waits is answered once the mounted file and DNS have stood in.
    """
    document = routing(3)
    document["slots"]["a"]["service"] = STABLE[0]
    del document["slots"]["b"]
    (router.folder / "routing.json").write_text(json.dumps(document))
    router.environment["MODELDEPLOY_DNS_NAME"] = "{service}"
    router.route(routing(3))
    router.start_keeper()
    router.start()
    router.end()
    router.api.stop()
    async with asyncio.TaskGroup() as group:
        tally = Tally()
        client = RestClient(router.address)
        group.create_task(client.predict(tally))
        await asyncio.to_thread(router.start)
    client.close()
    assert tally.addresses == {STABLE[0]: 1}
