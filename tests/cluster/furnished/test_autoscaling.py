"""
The number of pods changes by load and by hand, in the midst of a canary too, and nothing fails.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from testkit.cluster import (
    MODEL,
    Cluster,
    Deployed,
    devcluster,
    given,
    kubectl,
    play,
    until,
)
from testkit.traffic import Traffic

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600, func_only=True)]

RESOURCES = {"requests": {"cpu": "20m", "memory": "64Mi"}}


@pytest.fixture(scope="module", autouse=True)
def metrics_server(installation: None) -> Iterator[None]:
    """
    Give the cluster what measures the use of CPUs, for the time of these tests.
    """
    del installation
    devcluster("addons", "metrics-server")
    yield
    devcluster("addons", "--none")


async def _autoscaler(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await kubectl("get", "hpa", name, "-o", "json"))
    return found


async def _sizes(deployed: Deployed) -> dict[str, int]:
    """
    Read how many pods each revision asks for.
    """
    found = await deployed.cluster.deployments(deployed.name)
    return {revision: item["spec"]["replicas"] for revision, item in found.items()}


@pytest.mark.requirement("row-15")
def test_load_in_mid_canary_scales_both_versions_up_and_fails_no_request() -> None:
    """
    The autoscaler writes replicas; stable grows to it, the canary to its share of it.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(
            cluster,
            "scaled",
            resources=RESOURCES,
            autoscaling={"minReplicas": 1, "maxReplicas": 4},
            rollout={"steps": [{"weight": 50, "approval": True}]},
        )
        async with Traffic(await deployed.host(), MODEL, pause=0.01) as traffic:
            await deployed.want_version(2)
            canary = await deployed.until_weight("50%")
            stable = await deployed.revision("stable")

            async def grown() -> bool:
                return await _sizes(deployed) == {stable: 4, canary["revision"]: 2}

            await until("four stable pods and two of the canary", grown, 240)
            assert (await deployed.read())["spec"]["replicas"] == 4
            await deployed.until_weight("50%")
            await deployed.act(f"approve@{canary['revision']}/1")
            await deployed.until_stable(2, 180)
            assert await _sizes(deployed) == {canary["revision"]: 4}
        assert traffic.seen.failures == []
        log.info("%d requests, none failed", sum(map(traffic.seen.total, ("rest", "grpc"))))
        await deployed.delete()

    play(scenario)


@pytest.mark.requirement("row-15")
def test_scaling_to_zero_and_back_is_a_word_of_kubectl() -> None:
    """
    `kubectl scale` reaches nought, which rests the autoscaler, and wakes both up again.
    """

    async def scenario(cluster: Cluster) -> None:
        limits = {"minReplicas": 2, "maxReplicas": 3}
        deployed = await given(cluster, "zero", resources=RESOURCES, autoscaling=limits)
        await kubectl("scale", "mdep", deployed.name, "--replicas=0")
        await deployed.until_condition("Ready", "True", "Idle")
        revision = await deployed.revision("stable")

        async def rests() -> bool:
            found = (await _autoscaler(deployed.name))["status"].get("conditions", [])
            return any(c["reason"] == "ScalingDisabled" for c in found)

        await until("an autoscaler that rests", rests, 60)
        assert await _sizes(deployed) == {revision: 0}
        await kubectl("scale", "mdep", deployed.name, "--replicas=1")

        async def woken() -> bool:
            return await _sizes(deployed) == {revision: 2}

        await until("as many pods as the autoscaler keeps at least", woken, 90)
        await deployed.until_stable(1)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered()
        assert traffic.seen.failures == []
        await deployed.delete()
        assert await kubectl("get", "hpa", "zero", "--ignore-not-found") == ""

    play(scenario)
