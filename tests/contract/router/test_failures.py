"""
Servers that die or fail: what clients see, and what the router counts.
"""

import asyncio
from collections.abc import Iterator
from itertools import count

import grpc
import pytest

from testkit.load import GrpcClient, Load, RestClient, Tally, send_many
from testkit.routers import CANARY, NET, Bench, Upstream, endpoint, routing, until

MORTAL = count(1)


@pytest.fixture
def mortal(upstreams: None) -> Iterator[Upstream]:
    """
    A server of version 2 that the test may kill.
    """
    server = Upstream(f"{NET}.3.{next(MORTAL)}", "2")
    server.start()
    yield server
    server.end()


async def test_a_killed_server_fails_no_small_request(router: Bench, mortal: Upstream) -> None:
    """
    One of two servers of a pool is killed under load, and its requests are answered by the other.
    """
    router.route(routing(1, 5000))
    router.pool("b", mortal.address, CANARY)
    router.start()
    async with Load(router.address, rest=8, rpc=4) as load:
        await load.more(600)
        mortal.kill()
        await load.more(1_000)
    assert load.tally.addresses[mortal.address] > 100
    assert not load.tally.failures


async def test_a_dead_canary_leaves_its_share_to_stable(router: Bench, mortal: Upstream) -> None:
    """
    The only server of the canary is killed under load: stable answers at once, and nothing fails.
    """
    router.route(routing(1, 5000))
    router.pool("b", mortal.address)
    router.start()
    async with Load(router.address, rest=8, rpc=4) as load:
        await load.more(500)
        mortal.kill()
        await load.more(1_000)
        await asyncio.to_thread(until, lambda: router.slot("b")["up"] == 0, "the canary is out")
        mortal.start()
        await asyncio.to_thread(until, lambda: router.slot("b")["up"] == 1, "the canary is back")
        await load.more(100, "2")
    assert not load.tally.failures
    assert router.slot("b")["failures"] > 0
    assert router.slot("a")["failures"] == 0


async def test_a_dead_stable_leaves_its_share_to_the_canary(
    router: Bench, mortal: Upstream
) -> None:
    """
    The only server of stable is killed under load: a canary with traffic answers everything.
    """
    router.route(routing(1, 1000))
    router.pool("a", mortal.address)
    router.start()
    async with Load(router.address, rest=8, rpc=4) as load:
        await load.more(300)
        mortal.kill()
        await load.more(1_000)
    assert not load.tally.failures
    assert load.tally.addresses[CANARY] > 1_000


async def test_when_all_are_dead_every_request_is_refused_at_once(
    router: Bench, mortal: Upstream, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    With nobody left, stable and canary do not send a request to each other for ever.
    """
    router.route(routing(1, 5000))
    router.pool("a", mortal.address)
    router.pool("b")
    router.start()
    mortal.kill()
    await asyncio.to_thread(until, lambda: router.slot("a")["up"] == 0, "stable is out")
    tally = await send_many(rest.predict, 10, 1)
    assert tally.failures.total() == 10
    assert all(failure.startswith("503 ") for failure in tally.failures)
    tally = await send_many(rpc.predict, 10, 1)
    assert all(failure.startswith("UNAVAILABLE ") for failure in tally.failures)


async def test_requests_in_flight_on_a_killed_canary_are_answered(
    router: Bench, mortal: Upstream, rpc: GrpcClient
) -> None:
    """
    Requests that a server had already taken in when it died are tried again, REST and gRPC.
    """
    router.route(routing(1, 10_000))
    router.pool("b", mortal.address)
    router.start()
    rests = [RestClient(router.address) for _ in range(5)]
    sent = [
        c.send("POST", "/v1/models/mnist:predict", b"x" * 20_000, x_test_delay="1") for c in rests
    ]
    calls = [
        rpc.call("/tensorflow.serving.PredictionService/Predict", b"x" * 20_000, x_test_delay="1")
        for _ in range(5)
    ]
    flying = asyncio.gather(*sent, *calls)
    await asyncio.sleep(0.5)
    mortal.kill()
    answers = await flying
    assert all(status == 200 for status, _, _ in answers[:5])
    for client in rests:
        client.close()


async def test_a_terminating_server_finishes_what_it_has(
    router: Bench, mortal: Upstream, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    An endpoint that is terminating gets nothing new, answers what it had, and is then deleted.
    """
    router.route(routing(1, 10_000))
    router.pool("b", mortal.address, CANARY)
    router.start()
    slow = [
        asyncio.create_task(
            rpc.call("/tensorflow.serving.PredictionService/Predict", x_test_delay="2")
        )
        for _ in range(4)
    ]
    await asyncio.sleep(0.3)
    router.pool("b", endpoint(mortal.address, ready=False, terminating=True), CANARY)
    await asyncio.sleep(0.4)
    tally = await send_many(rpc.predict, 200, 4)
    for _ in range(20):
        await rest.predict(tally)
    assert tally.addresses == {CANARY: 220}
    answers = [await call for call in slow]
    assert sum(mortal.address.encode() in answer for answer in answers) == 2
    assert router.slot("b")["endpoints"] == 1
    await asyncio.to_thread(mortal.end)
    server = f"del server rest_b/ip-{mortal.address} -> Server deleted."
    await asyncio.to_thread(until, lambda: server in router.log(), "the server is deleted")


async def test_a_pool_that_is_replaced_in_one_step_leaves_no_gap(
    router: Bench, mortal: Upstream
) -> None:
    """
    A new endpoint in place of the only old one: the old one stays until the new one is checked.
    """
    router.route(routing(1, 10_000))
    router.start()
    async with Load(router.address) as load:
        for turn in range(6):
            address = mortal.address if turn % 2 == 0 else CANARY
            router.pool("b", address)
            await load.reaches(address)
            await load.more(50)
    assert set(load.tally.versions) == {"2"}
    assert len(load.tally.addresses) == 2
    assert not load.tally.failures


async def test_endpoints_come_and_go_under_load(router: Bench, mortal: Upstream) -> None:
    """
    Servers are added to and removed from a pool again and again, and no request fails.
    """
    router.route(routing(1, 5000))
    router.start()
    async with Load(router.address, rest=8, rpc=8, pause=0) as load:
        for _ in range(8):
            router.pool("b", mortal.address)
            await load.more(100, "2")
            router.pool("b", CANARY, mortal.address)
            await load.reaches(CANARY)
    assert load.tally.addresses[mortal.address] > 100
    assert not load.tally.failures


async def test_an_unavailable_version_gets_no_traffic(router: Bench) -> None:
    """
    A server whose version is not AVAILABLE is not up, though it answers everything.
    """
    loading = Upstream(f"{NET}.3.200", "2", state="LOADING")
    await asyncio.to_thread(loading.start)
    router.route(routing(1, 10_000))
    router.pool("b", loading.address)
    router.start()
    assert router.slot("b") | {"requests": 0} == {
        "revision": "bbbbbbbbbb", "up": 0, "endpoints": 1, "requests": 0, "failures": 0
    }  # fmt: skip
    client, tally = RestClient(router.address), Tally()
    for _ in range(20):
        await client.predict(tally)
    client.close()
    assert tally.versions == {"1": 20}
    await asyncio.to_thread(loading.end)


async def test_a_models_own_errors_are_its_answers(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    A 5xx or a gRPC status of the model is passed on and counted, and never tried again.
    """
    router.route(routing(1))
    router.start()
    for _ in range(20):
        status, _, _ = await rest.send("POST", "/v1/models/mnist:predict", x_test_status="500")
        assert status == 500
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.call("/tensorflow.serving.PredictionService/Predict", x_test_code="13")
        assert caught.value.code() is grpc.StatusCode.INTERNAL
    with pytest.raises(grpc.aio.AioRpcError):
        await rpc.call("/tensorflow.serving.PredictionService/Predict", x_test_code="3")
    assert router.slot("a") == {
        "revision": "aaaaaaaaaa", "up": 2, "endpoints": 2, "requests": 41, "failures": 40
    }  # fmt: skip


async def test_a_server_that_ends_before_the_cluster_says_so(
    router: Bench, mortal: Upstream
) -> None:
    """
    A server that closes its connections by itself fails no small request either.

    This is about REST: a gRPC server that stops answers CANCELLED, and what a server answers is
    passed on. It has to go on serving until the routers have learnt that it is leaving.
    """
    router.route(routing(1, 5000))
    router.pool("b", mortal.address, CANARY)
    router.start()
    async with Load(router.address, rest=12, rpc=0, pause=0) as load:
        for _ in range(3):
            for _ in range(40):
                await load.reaches(mortal.address)
            await asyncio.to_thread(mortal.end)
            await load.more(300)
            await asyncio.to_thread(mortal.start)
    assert load.tally.addresses[mortal.address] > 100
    assert not load.tally.failures
