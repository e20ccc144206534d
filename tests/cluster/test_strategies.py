"""
The strategies besides a plain canary, under the load of clients that must not notice.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from modeldeploy_operator.cluster.port import GoneError
from testkit.cluster import MODEL, NAMESPACE, Cluster, Deployed, given, play, until
from testkit.traffic import Rest, Seen, Traffic, send_many

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(900)]

PATIENCE = 360
"""Seconds for pods that start one after the other on a busy machine."""


def _nothing_failed(seen: Seen) -> None:
    log.info("answers: %s", {name: dict(counts) for name, counts in seen.versions.items()})
    assert seen.failures == []
    assert min(seen.total("rest"), seen.total("grpc")) > 100


async def _pods(deployed: Deployed, version: int) -> set[str]:
    """
    Find the uids of a version's ready pods.
    """
    pools = await deployed.cluster.deployments(deployed.name)
    named = {
        revision
        for revision, pool in pools.items()
        if pool["metadata"]["annotations"]["serving.modeldeploy.io/version"] == str(version)
    }
    pods = await deployed.cluster.pods(deployed.name, "server")
    return {
        pod["metadata"]["uid"]
        for pod in pods
        if pod["metadata"]["labels"]["serving.modeldeploy.io/revision"] in named
    }


async def _preview(deployed: Deployed) -> str | None:
    """
    Find the address of the preview, if there is one.
    """
    path = f"/api/v1/namespaces/{NAMESPACE}/services/{deployed.name}-preview"
    try:
        return str((await deployed.cluster.kube.get(path))["spec"]["clusterIP"])
    except GoneError:
        return None


@contextlib.asynccontextmanager
async def _counting(deployed: Deployed) -> AsyncIterator[list[int]]:
    """
    Note how many pods both versions ask for together, again and again.
    """
    asked: list[int] = []

    async def watch() -> None:
        while True:
            pools: dict[str, Any] = await deployed.cluster.deployments(deployed.name)
            asked.append(sum(pool["spec"]["replicas"] for pool in pools.values()))
            await asyncio.sleep(0.1)

    task = asyncio.create_task(watch())
    try:
        yield asked
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        log.info("pods asked for: %s", sorted(set(asked)))


def test_blue_green_previews_switches_once_and_returns_without_a_new_pod() -> None:
    """
    All pods before any traffic, a preview, one switch, a way back on the old pods, a promotion.
    """

    async def scenario(cluster: Cluster) -> None:
        switch = {"strategy": "BlueGreen", "blueGreen": {"approval": True, "hold": "10m"}}
        deployed = await given(cluster, "bluegreen", replicas=2, rollout=switch)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            await deployed.until_condition("Reconciling", "True", "AwaitingApproval")
            canary = (await deployed.status())["canary"]
            assert (canary["readyReplicas"], canary["weight"]["effective"]) == (2, "0%")
            assert traffic.seen.versions["rest"]["2"] == 0
            address = await _preview(deployed)
            assert address
            previewed = await send_many([Rest(address, MODEL)], 10)
            assert previewed.versions["rest"] == {"2": 10}

            old, new = await _pods(deployed, 1), await _pods(deployed, 2)
            await deployed.act(f"approve@{canary['revision']}/1")
            await deployed.until_weight("100%")
            await deployed.act(f"abort@{canary['revision']}")
            await deployed.until_outcome("Aborted")
            assert await _pods(deployed, 1) == old
            assert await _preview(deployed) is None

            await deployed.act(f"retry@{canary['revision']}")
            await deployed.until_condition("Reconciling", "True", "AwaitingApproval")
            new = await _pods(deployed, 2)
            await deployed.act(f"approve@{canary['revision']}/1#again")
            await deployed.until_weight("100%")
            await deployed.act(f"promote@{canary['revision']}/2")
            await deployed.until_stable(2)
            assert await _pods(deployed, 2) == new
            assert await _preview(deployed) is None
        _nothing_failed(traffic.seen)
        await deployed.delete()

    play(scenario)


def test_rolling_replaces_pod_by_pod_both_ways() -> None:
    """
    Pods are replaced one by one, an abort goes back the same way, and no request fails.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "rolling", replicas=3, rollout={"strategy": "Rolling"})

        async def has_begun() -> bool:
            canary = (await deployed.status()).get("canary") or {}
            return bool(canary.get("weight", {}).get("effective", "0%") != "0%")

        async with (
            Traffic(await deployed.host(), MODEL) as traffic,
            _counting(deployed) as asked,
        ):
            await deployed.want_version(2)
            await until("the first pod has traffic", has_begun, PATIENCE)
            await deployed.act(f"abort@{await deployed.revision('canary')}")
            await deployed.until_outcome("Aborted", PATIENCE)
            await deployed.until_condition("Stalled", "True", "Aborted")
            await deployed.want_version(3)
            await deployed.until_stable(3, PATIENCE)
            assert max(asked) == 4
            assert min(asked) >= 3
        _nothing_failed(traffic.seen)
        assert traffic.seen.versions["rest"]["2"] > 0
        await deployed.delete()

    play(scenario)


def test_scarce_pods_and_traffic_take_turns() -> None:
    """
    Pods never exceed replicas + 1 on the way to a share, on the way back, and to the promotion.
    """

    async def scenario(cluster: Cluster) -> None:
        scarce = {"capacity": "Scarce", "steps": [{"weight": 60, "approval": True}]}
        deployed = await given(cluster, "scarce", replicas=3, rollout=scarce)
        async with (
            Traffic(await deployed.host(), MODEL) as traffic,
            _counting(deployed) as asked,
        ):
            await deployed.want_version(2)
            canary = await deployed.until_weight("60%", seconds=PATIENCE)
            await deployed.until_condition("Reconciling", "True", "AwaitingApproval")
            assert canary["replicas"] == 2
            assert (await deployed.status())["stable"]["replicas"] == 2
            await deployed.act(f"abort@{canary['revision']}")
            await deployed.until_outcome("Aborted", PATIENCE)
            await deployed.act(f"retry@{canary['revision']}")
            await deployed.until_weight("60%", seconds=PATIENCE)
            await deployed.act(f"approve@{canary['revision']}/1")
            await deployed.until_stable(2, PATIENCE)
            assert max(asked) == 4
        _nothing_failed(traffic.seen)
        await deployed.delete()

    play(scenario)
