"""
Two nodes: pods are spread over them, a drain costs nothing, and a lost node costs what it held.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from modeldeploy_operator.evidence.pods import is_ready
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

FIRST, SECOND = "devcluster", "devcluster-2"
PATIENCE = 30.0
"""How long a client of these tests waits for an answer, in seconds."""


@pytest.fixture(scope="module", autouse=True)
def second_node(installation: None) -> Iterator[None]:
    """
    Give the cluster a second node for the time of these tests.
    """
    del installation
    devcluster("up", "--nodes", "2")
    yield
    devcluster("up", "--nodes", "1")


async def spread(deployed: Deployed, component: str, count: int) -> dict[str, list[dict[str, Any]]]:
    """
    Wait until so many pods of a component are ready, and return them by node.
    """

    async def ready() -> list[dict[str, Any]] | None:
        pods = await deployed.cluster.pods(deployed.name, component)
        return pods if len(pods) == count and all(map(is_ready, pods)) else None

    by_node: dict[str, list[dict[str, Any]]] = {}
    for pod in await until(f"{count} ready {component} pods of {deployed.name}", ready, 180):
        by_node.setdefault(pod["spec"]["nodeName"], []).append(pod)
    return by_node


def test_serving_pods_and_routers_are_spread_over_the_nodes() -> None:
    """
    Of two pods each node gets one, of the servers and of the routers.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "spread", replicas=2)
        for component in ("server", "router"):
            found = await spread(deployed, component, 2)
            assert sorted(found) == [FIRST, SECOND], component
        await deployed.delete()

    play(scenario)


def test_a_drained_node_fails_no_request_and_no_lone_canary_holds_it_up() -> None:
    """
    A router, a stable pod and the only canary leave the node under load; the rollout goes on.
    """

    async def scenario(cluster: Cluster) -> None:
        steps = {"steps": [{"weight": 30, "approval": True}]}
        deployed = await given(cluster, "drained", replicas=2, rollout=steps)
        assert len(await spread(deployed, "router", 2)) == 2
        await kubectl("cordon", FIRST)
        try:
            await deployed.want_version(2)
            canary = await deployed.until_weight("30%")
        finally:
            await kubectl("uncordon", FIRST)
        leaving = (await spread(deployed, "server", 3))[SECOND]
        revisions = {p["metadata"]["labels"]["serving.modeldeploy.io/revision"] for p in leaving}
        assert canary["revision"] in revisions
        assert len(revisions) == 2
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered()
            began = time.monotonic()
            flags = ("--delete-emptydir-data", "--ignore-daemonsets", "--timeout=55s")
            try:
                await kubectl("drain", SECOND, *flags)
                log.info("the node was drained after %.1f s", time.monotonic() - began)
                for component, count in (("server", 3), ("router", 2)):
                    assert list(await spread(deployed, component, count)) == [FIRST]
                await deployed.until_weight("30%")
                await traffic.answered()
            finally:
                await kubectl("uncordon", SECOND)
            await deployed.act(f"approve@{canary['revision']}/1")
            await deployed.until_stable(2)
        assert traffic.seen.failures == []
        log.info("%d requests, none failed", sum(map(traffic.seen.total, ("rest", "grpc"))))
        await deployed.delete()

    play(scenario)


def test_a_lost_node_takes_only_its_own_connections_with_it() -> None:
    """
    Once the Service has dropped the lost router nothing fails, for new clients and old ones.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "lost", replicas=2)
        for component in ("server", "router"):
            assert len(await spread(deployed, component, 2)) == 2
        host = await deployed.host()
        async with Traffic(host, MODEL) as old:
            await old.answered()
            lost = time.monotonic()
            await asyncio.to_thread(devcluster, "stop", "node2")
            try:
                await until("the Service without the lost router", lambda: _dropped(deployed), 180)
                dropped = time.monotonic()
                log.info("the Service dropped the router after %.0f s", dropped - lost)
                async with Traffic(host, MODEL) as new:
                    await new.answered(600)
                assert new.seen.failures == []
                assert (await deployed.condition("Ready"))["status"] == "True"
            finally:
                await asyncio.to_thread(devcluster, "start", "node2")
        late = [at - dropped for at in old.seen.failed_at if at > dropped + PATIENCE + 1]
        log.info(
            "%d requests failed on old connections, the last %.1f s after the loss",
            len(old.seen.failures),
            max(old.seen.failed_at, default=lost) - lost,
        )
        assert late == [], old.seen.failures
        for component in ("server", "router"):
            await spread(deployed, component, 2)
        await deployed.delete()

    play(scenario)


async def _dropped(deployed: Deployed) -> bool:
    """
    Tell whether the client Service names no ready endpoint on the lost node.
    """
    path = "/apis/discovery.k8s.io/v1"
    slices = await deployed.cluster.children(path, "endpointslices", deployed.name)
    mine = [s for s in slices if s["metadata"]["labels"]["kubernetes.io/service-name"] == "lost"]
    places = [e for s in mine for e in s["endpoints"] if e["conditions"]["ready"]]
    return bool(places) and all(place["nodeName"] == FIRST for place in places)
