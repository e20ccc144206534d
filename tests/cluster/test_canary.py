"""
A canary from its first share to its promotion, counted at the clients.
"""

import logging
import math
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, Deployed, given, play, until
from testkit.traffic import Client, Grpc, Rest, Traffic, send_many

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

LONG = pytest.mark.long
STEPS = [
    {"weight": "0.5%", "approval": True},
    {"weight": 10, "approval": True},
    {"weight": 50, "approval": True},
]
ENOUGH, FEWER = 10_000, 2_000
NEAR = 0.05


async def _share(clients: list[Client], requests: int, version: str) -> float:
    seen = await send_many(clients, requests, at_once=8)
    assert seen.failures == []
    return seen.versions[clients[0].protocol][version] / requests


async def _counts_as_weighted(deployed: Deployed, weight: float, requests: int) -> None:
    """
    Over REST and over one single gRPC connection the share is the weight, within 4 sigma.
    """
    host = await deployed.host()
    tolerance = 4 * math.sqrt(weight * (1 - weight) / requests)
    rest: list[Client] = [Rest(host, MODEL) for _ in range(8)]
    rpc: list[Client] = [Grpc(host, MODEL)]
    for clients in (rest, rpc):
        share = await _share(clients, requests, "2")
        told = f"{clients[0].protocol}: weight {weight:.2%}, share {share:.2%} of {requests}"
        log.info(told)
        assert abs(share - weight) <= tolerance, told


async def _is_observed(deployed: Deployed, weight: float) -> None:
    """
    The status tells the share that the routers counted.
    """

    async def near() -> bool:
        seen = (await deployed.status())["canary"]["weight"].get("observed", "100%")
        return abs(float(seen.rstrip("%")) / 100 - weight) < NEAR

    await until(f"the observed share is near {weight:.1%}", near)


async def _replicas(deployed: Deployed, canary: dict[str, Any]) -> tuple[int, int]:
    pools = await deployed.cluster.deployments(deployed.name)
    stable = await deployed.revision("stable")
    return (
        pools[stable]["spec"]["replicas"],
        pools[canary["revision"]]["spec"]["replicas"],
    )


@pytest.mark.requirement("row-14")
@pytest.mark.parametrize(
    "requests",
    [
        pytest.param({"0.5%": ENOUGH, "10%": ENOUGH, "50%": FEWER}, id="short"),
        pytest.param(dict.fromkeys(("0.5%", "10%", "50%"), ENOUGH), id="full", marks=LONG),
    ],
)
def test_a_canary_gets_just_its_share_and_no_request_fails(requests: dict[str, int]) -> None:
    """
    The share is the weight at every step, the canary has the pods it needs, and nothing fails.
    """

    async def scenario(cluster: Cluster) -> None:
        rollout = {"steps": STEPS, "analysis": {"interval": "2s"}}
        deployed = await given(cluster, "canary", replicas=3, rollout=rollout)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            for step, weight, pods in ((1, "0.5%", 1), (2, "10%", 1), (3, "50%", 2)):
                canary = await deployed.until_weight(weight)
                assert (canary["step"], canary["steps"]) == (step, 4)
                assert await _replicas(deployed, canary) == (3, pods)
                await deployed.until_condition("Reconciling", "True", "AwaitingApproval")
                share = float(weight.rstrip("%")) / 100
                await _counts_as_weighted(deployed, share, requests[weight])
                await _is_observed(deployed, share)
                await deployed.act(f"approve@{canary['revision']}/{step}")
            status = await deployed.until_stable(2)
            await deployed.until_outcome("Promoted")
        assert traffic.seen.failures == []
        assert traffic.seen.total("rest") > 100
        assert traffic.seen.total("grpc") > 100
        assert status["stable"]["replicas"] == 3
        assert len(await deployed.cluster.pods(deployed.name, "server")) == 3
        await deployed.delete()

    play(scenario)
