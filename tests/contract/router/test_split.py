"""
The split: so much traffic as the weight says, for each request, on any connection.
"""

import asyncio
import math
import time

import pytest

from testkit.load import GrpcClient, Load, RestClient, Tally, send_many
from testkit.routers import STABLE, Bench, routing


def assert_share(tally: Tally, share: float) -> None:
    """
    Check that version 2 answered its share, within four standard deviations.
    """
    assert not tally.failures
    deviation = math.sqrt(tally.total * share * (1 - share))
    assert abs(tally.versions["2"] - tally.total * share) <= 4 * deviation, tally.versions


@pytest.mark.parametrize("weight", [1000, 50])
async def test_rest_is_split_by_weight(router: Bench, weight: int) -> None:
    """
    REST requests on keep-alive connections are split one by one.
    """
    router.route(routing(1, weight))
    router.start()
    clients = [RestClient(router.address) for _ in range(8)]
    tally = Tally()
    tallies = await asyncio.gather(*(send_many(c.predict, 1250, 1) for c in clients))
    for one in tallies:
        tally.versions.update(one.versions)
        tally.failures.update(one.failures)
    for client in clients:
        client.close()
    assert tally.total == 10_000
    assert_share(tally, weight / 10_000)


@pytest.mark.parametrize(
    ("weight", "threads"), [pytest.param(1000, "1", marks=pytest.mark.long), (50, "1"), (1000, "2")]
)
async def test_one_grpc_connection_is_split_by_weight(
    router: Bench, weight: int, threads: str, rpc: GrpcClient
) -> None:
    """
    The calls on a single long-lived gRPC connection are split one by one, over all servers.
    """
    router.environment["MODELDEPLOY_THREADS"] = threads
    router.route(routing(1, weight))
    router.start()
    tally = await send_many(rpc.predict, 10_000, 16)
    assert tally.total == 10_000
    assert_share(tally, weight / 10_000)
    stable = [count for address, count in tally.addresses.items() if address in STABLE]
    assert len(stable) == 2
    assert max(stable) <= 1.2 * min(stable)


async def test_a_weight_is_in_force_within_100_ms(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    A change of the ConfigMap reaches the data path at once, on open connections.
    """
    router.route(routing(1, 1))
    router.start()
    delays = []
    for generation in range(2, 8):
        weight = 10_000 if generation % 2 == 0 else 1
        wanted = "2" if weight == 10_000 else "1"
        router.route(routing(generation, weight))
        start = time.monotonic()
        while True:
            tally = Tally()
            await rest.predict(tally)
            await rpc.predict(tally)
            if tally.versions[wanted] == 2:
                break
        delays.append(time.monotonic() - start)
    assert min(delays) < 0.1, delays
    assert sorted(delays)[len(delays) // 2] < 0.1, delays


async def test_promotion_moves_a_pointer_and_fails_nothing(router: Bench) -> None:
    """
    Stable and canary change places under load: no request fails, and none goes by half a change.
    """
    router.route(routing(1, 5000))
    router.start()
    async with Load(router.address) as load:
        for generation in range(2, 12):
            roles = {"stable": "b"} if generation % 2 == 0 else {"stable": "a", "canary": "b"}
            weight = 0 if generation % 2 == 0 else 5000
            await asyncio.sleep(0.1)
            router.route(routing(generation, roles=roles, weight=weight))
        await asyncio.to_thread(router.confirmed, 11)
        router.route(routing(12, roles={"stable": "b"}, weight=0))
        await asyncio.to_thread(router.confirmed, 12)
        await asyncio.sleep(0.1)
        before = load.tally.versions["1"]
        await asyncio.sleep(0.3)
        assert load.tally.versions["1"] == before
    assert not load.tally.failures


async def test_status_and_metadata_are_stables(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    What does not predict goes to stable, whatever the weight.
    """
    router.route(routing(1, 10_000))
    router.start()
    status, _, _ = await rest.send("GET", "/v1/models/mnist/versions/1")
    assert status == 200
    for method in (
        "/tensorflow.serving.ModelService/GetModelStatus",
        "/tensorflow.serving.PredictionService/GetModelMetadata",
    ):
        assert b'"version": "1"' in await rpc.call(method)


async def test_connections_to_servers_are_used_again(router: Bench, rest: RestClient) -> None:
    """
    A client's requests over REST open no connection each, to neither server.
    """
    router.route(routing(1))
    router.start()
    tally = Tally()
    for _ in range(100):
        await rest.predict(tally)
    assert tally.total == 100
    assert set(tally.addresses) == set(STABLE)
    rows = [
        row for row in router.stat() if row["pxname"] == "rest_a" and row["svname"][:3] == "ip-"
    ]
    assert len(rows) == 2
    assert sum(int(row["connect"]) for row in rows) <= 4
