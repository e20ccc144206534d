"""
The breaker: a burst of failures takes the canary out, without anybody's help.
"""

import asyncio
from collections.abc import Iterator

import pytest

from testkit.load import Load, RestClient, send_many
from testkit.routers import CANARY, NET, Bench, Upstream, routing, until

FAILING = f"{NET}.2.3"


@pytest.fixture
def failing() -> Iterator[None]:
    """
    A server of version 2 that fails every prediction.
    """
    server = Upstream(FAILING, "2", failing=True)
    server.start()
    yield
    server.end()


@pytest.mark.parametrize(("rest", "rpc"), [(4, 0), (0, 4)])
async def test_a_canary_that_fails_everything_is_out_at_once(
    router: Bench, failing: None, rest: int, rpc: int
) -> None:
    """
    Its share goes to stable, the status says why, and another canary starts with a clean slate.
    """
    router.route(routing(1, 5000))
    router.pool("b", FAILING)
    router.start()
    async with Load(router.address, rest=rest, rpc=rpc) as load:
        await asyncio.to_thread(until, lambda: load.tally.total >= 2000, "2000 are answered")
    hurt = load.tally.failures.total()
    assert 20 <= hurt < 400, load.tally.failures
    status = router.status()
    assert (status["generation"], status["weight"]) == (1, 0)
    assert status["tripped"]["revision"] == "bbbbbbbbbb"
    assert "requests failed" in status["tripped"]["message"]

    document = routing(2, 5000)
    document["slots"]["b"]["revision"] = "cccccccccc"
    router.pool("b", CANARY)
    router.route(document)
    router.confirmed(2)
    assert "tripped" not in router.status()
    until(lambda: router.slot("b")["up"] == 1, "the next canary is up")
    client = RestClient(router.address)
    tally = await send_many(client.predict, 200, 1)
    client.close()
    assert tally.versions["2"] > 50


async def test_what_stable_fails_too_takes_nobody_out(router: Bench, rest: RestClient) -> None:
    """
    Where both fail, nobody is taken out.
    """
    router.route(routing(1, 5000))
    router.start()
    for _ in range(300):
        await rest.send("POST", "/v1/models/mnist:predict", b"{}", x_test_status="500")
    until(lambda: router.slot("b")["failures"] > 50, "the failures are counted")
    assert "tripped" not in router.status()
    assert router.status()["weight"] == 5000
