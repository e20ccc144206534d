"""
The life of a router: starts with and without the API server, losses of it, and ends.
"""

import asyncio
import json
import signal

import pytest

from testkit.load import GrpcClient, Load, RestClient, Tally, send_many
from testkit.routers import NAME, SLICES, STABLE, Bench, routing, until


async def test_a_generation_is_acknowledged(router: Bench) -> None:
    """
    The status tells of the generation that HAProxy has, as ARCHITECTURE.md describes it.
    """
    router.start(ready=False)
    until(lambda: router.get("/healthz")[0] == 200, "the agent answers")
    assert router.get("/readyz")[0] == 503
    assert router.status()["generation"] == 0
    router.route(routing(7, 1000))
    until(router.is_ready, "the router is ready")
    status = router.status()
    assert status.pop("haproxy")["started"].endswith("Z")
    slot = {"revision": "aaaaaaaaaa", "up": 2, "endpoints": 2, "requests": 0, "failures": 0}
    assert status == {
        "generation": 7,
        "model": NAME,
        "weight": 1000,
        "roles": {"stable": "a", "canary": "b"},
        "slots": {"a": slot, "b": slot | {"revision": "bbbbbbbbbb", "up": 1, "endpoints": 1}},
    }
    router.route(routing(8, 2000))
    router.confirmed(8)
    assert router.status()["weight"] == 2000


async def test_counters_are_those_of_the_revision(router: Bench, rest: RestClient) -> None:
    """
    A slot that gets another revision starts at 0, and a revision that moves takes its count along.
    """
    router.route(routing(1))
    router.start()
    await send_many(rest.predict, 30, 1)
    assert router.slot("a")["requests"] == 30
    document = routing(2)
    slots = document["slots"]
    old = slots["a"]
    slots["c"], slots["a"] = old, old | {"revision": "cccccccccc"}
    router.route(document | {"roles": {"stable": "c"}})
    until(lambda: router.slot("c").get("up") == 2, "the pool is up in its new slot")
    await send_many(rest.predict, 5, 1)
    assert router.slot("c")["requests"] == 35
    assert router.slot("a")["requests"] == 0
    _, text = router.get("/metrics")
    assert 'modeldeploy_router_attempts_total{revision="aaaaaaaaaa",protocol="rest"} 35\n' in text
    assert 'modeldeploy_router_endpoints_up{slot="c",revision="aaaaaaaaaa"} 2\n' in text
    assert "modeldeploy_router_generation 2\n" in text


async def test_a_bad_configuration_changes_nothing(router: Bench, rest: RestClient) -> None:
    """
    What cannot be applied is refused with a sentence in the log; the last good one stays.
    """
    router.route(routing(1))
    router.start()
    router.route(routing(2, roles={"stable": "z"}))
    until(lambda: "The last one stays in force." in router.log(), "the refusal is logged")
    tally = await send_many(rest.predict, 5, 1)
    assert tally.versions == {"1": 5}
    assert router.status()["generation"] == 1


async def test_a_cold_start_without_the_api_server(router: Bench, rest: RestClient) -> None:
    """
    The mounted file and DNS stand in, until the API server answers and tells something newer.
    """
    document = routing(3)
    document["slots"]["a"]["service"] = STABLE[0]
    del document["slots"]["b"]
    (router.folder / "routing.json").write_text(json.dumps(document))
    router.api.stop()
    router.environment["MODELDEPLOY_DNS_NAME"] = "{service}"
    router.start()
    tally = await send_many(rest.predict, 10, 1)
    assert tally.addresses == {STABLE[0]: 10}
    assert router.status()["generation"] == 3
    router.route(routing(4))
    async with Load(router.address) as load:
        router.api.start()
        await asyncio.to_thread(router.confirmed, 4)
        await asyncio.to_thread(until, lambda: router.slot("a")["up"] == 2, "both servers are up")
        for address in STABLE:
            await load.reaches(address)
    assert not load.tally.failures
    assert set(load.tally.addresses) == {*STABLE}


async def test_losing_the_api_server_changes_nothing(router: Bench, rest: RestClient) -> None:
    """
    While the API server is away the last state stays; what changed meanwhile is learnt afterwards.
    """
    router.route(routing(1, 10_000))
    router.start()
    router.api.stop()
    router.route(routing(2))
    router.api.store.delete(SLICES, f"{NAME}-{'b' * 10}-x")
    router.api.store.forget_history()
    await asyncio.sleep(1)
    tally = await send_many(rest.predict, 20, 1)
    assert tally.versions == {"2": 20}
    router.api.write_token("the second")
    router.api.start()
    router.confirmed(2)
    until(lambda: router.slot("b")["endpoints"] == 0, "the deletion is learnt")


async def test_an_expired_watch_lists_again(router: Bench) -> None:
    """
    A watch that the API server ends with 410 is followed by a list.
    """
    router.route(routing(1))
    router.start()
    router.api.store.forget_history()
    until(lambda: router.log().count("has expired; listing again") == 2, "both watches expired")
    router.route(routing(2))
    router.confirmed(2)


@pytest.mark.parametrize("drain", ["0.5", "2"])
async def test_a_graceful_stop_fails_nothing(
    router: Bench, drain: str, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    SIGTERM: not ready at once, clients are told to go, what is in flight is answered, status 0.
    """
    router.route(routing(1, 5000))
    router.environment["MODELDEPLOY_DRAIN_SECONDS"] = drain
    router.start()
    assert router.process
    slow = rest.send("POST", "/v1/models/mnist:predict", b"{}", x_test_delay="3")
    call = rpc.call("/tensorflow.serving.PredictionService/Predict", x_test_delay="3")
    flying = asyncio.gather(slow, call)
    async with Leaving(router) as seen:
        await asyncio.to_thread(until, lambda: seen.total > 50, "clients are answered")
        router.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(until, lambda: not router.is_ready(), "it is not ready", 2)
        answers = await flying
    assert answers[0][0] == 200
    assert not seen.failures
    assert await asyncio.to_thread(router.process.wait, 12) == 0


class Leaving:
    """
    Clients with keep-alive connections, which stop when the router no longer lets them in.

    In a cluster they would reach the other router then: a connection that is refused, or that the
    kernel takes back because nobody had accepted it when the port was closed, is no failure, but
    everything that happens on an accepted one is.
    """

    def __init__(self, router: Bench) -> None:
        self._router = router
        self._tasks: list[asyncio.Task[None]] = []
        self._tally = Tally()

    async def __aenter__(self) -> Tally:
        self._tasks = [asyncio.create_task(self._rest()) for _ in range(6)]
        self._tasks += [asyncio.create_task(self._rpc()) for _ in range(3)]
        return self._tally

    async def __aexit__(self, wrong: object, *_: object) -> None:
        for task in self._tasks if wrong else ():
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=wrong is not None)

    async def _rest(self) -> None:
        client = RestClient(self._router.address)
        while True:
            seen, is_new = Tally(), not client.is_open
            await client.predict(seen)
            self._tally.versions.update(seen.versions)
            lost = ("Connect call failed", "Connection reset", "Connection lost")
            refusals = lost if is_new else ()
            if any(word in failure for failure in seen.failures for word in refusals):
                break
            self._tally.failures.update(seen.failures)
            await asyncio.sleep(0.005)
        client.close()

    async def _rpc(self) -> None:
        client = GrpcClient(self._router.address)
        while True:
            seen = Tally()
            await client.predict(seen)
            self._tally.versions.update(seen.versions)
            if any("Connection refused" in failure for failure in seen.failures):
                break
            self._tally.failures.update(seen.failures)
            await asyncio.sleep(0.005)
        await client.aclose()
