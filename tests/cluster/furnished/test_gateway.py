"""
Behind a real Gateway, Traefik: in front of the routers, and instead of them.
"""

import json
import logging
import time
from collections.abc import Iterator
from functools import partial
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
from testkit.traffic import Grpc, Rest, Traffic, send_many

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600, func_only=True)]

PUBLIC: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "public"},
    "spec": {
        "gatewayClassName": "traefik",
        "listeners": [{"name": "web", "protocol": "HTTP", "port": 80}],
    },
}
BEHIND = {"gateway": {"parentRefs": [{"name": "public"}]}}
PORTS = (80, 80)
STEPS = {"steps": [{"weight": 10, "approval": True}, {"weight": 50, "approval": True}]}


@pytest.fixture(scope="module", autouse=True)
def gateway(installation: None) -> Iterator[None]:
    """
    Run Traefik, and make the Gateway that all routes attach to.
    """
    del installation
    devcluster("addons", "traefik")
    yield
    devcluster("addons", "--none")


async def _address() -> str:
    """
    Make the Gateway, and wait until it has an address.
    """
    await kubectl("apply", "-f", "-", stdin=json.dumps(PUBLIC))

    async def addressed() -> str:
        found = json.loads(await kubectl("get", "gateway", "public", "-o", "json"))
        addresses = found.get("status", {}).get("addresses") or [{}]
        return str(addresses[0].get("value", ""))

    return str(await until("an address of the Gateway", addressed, 60))


async def _share(host: str, version: int, count: int = 2_000) -> float:
    """
    Measure the share of the requests that a version answers, over both protocols.
    """
    clients: list[Rest | Grpc] = [Rest(host, MODEL, 80) for _ in range(4)]
    clients.append(Grpc(host, MODEL, 80))
    seen = await send_many(clients, count, at_once=8)
    assert seen.failures == []
    answers = sum((seen.versions[p][str(version)] for p in ("rest", "grpc")), 0)
    total = sum(map(seen.total, ("rest", "grpc")))
    log.info("version %d answered %d of %d requests", version, answers, total)
    return answers / total


async def _rolled_out(deployed: Deployed, host: str) -> Traffic:
    """
    Take version 2 through both steps under load through the Gateway.
    """
    async with Traffic(host, MODEL, ports=PORTS) as traffic:
        await traffic.answered()
        await deployed.want_version(2)
        canary = await deployed.until_weight("10%")
        assert 0.07 < await _share(host, 2) < 0.13
        await deployed.act(f"approve@{canary['revision']}/1")
        await deployed.until_weight("50%")
        assert 0.45 < await _share(host, 2) < 0.55
        await deployed.act(f"approve@{canary['revision']}/2")
        await deployed.until_stable(2)
        await traffic.answered()
    assert set(traffic.seen.last) == {"1", "2"}
    log.info("%d requests, none failed", sum(map(traffic.seen.total, ("rest", "grpc"))))
    return traffic


def test_a_gateway_leads_to_the_routers_and_changes_nothing_else() -> None:
    """
    REST and gRPC come in by one HTTPRoute and one GRPCRoute; the routers split as ever.
    """

    async def scenario(cluster: Cluster) -> None:
        host = await _address()
        deployed = await given(cluster, "in-front", traffic=_little(BEHIND), rollout=STEPS)
        await deployed.until_condition("RoutesAccepted", "True", "RoutesAccepted", 60)
        traffic = await _rolled_out(deployed, host)
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


def test_a_gateway_splits_by_weights_and_no_router_runs() -> None:
    """
    The routes carry the weights to the pools; a whole canary fails no request.
    """

    async def scenario(cluster: Cluster) -> None:
        host = await _address()
        traffic_spec = _little({**BEHIND, "provider": "Gateway"})
        deployed = await given(cluster, "instead", traffic=traffic_spec, rollout=STEPS)
        assert await cluster.pods(deployed.name, "router") == []
        traffic = await _rolled_out(deployed, host)
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


def test_the_provider_changes_under_load_there_and_back() -> None:
    """
    The routers go once the routes carry the weights, and the weights once routers are ready.
    """

    async def scenario(cluster: Cluster) -> None:
        host = await _address()
        deployed = await given(cluster, "changed", traffic=_little(BEHIND))
        await deployed.until_condition("RoutesAccepted", "True", "RoutesAccepted", 60)
        async with Traffic(host, MODEL, ports=PORTS) as traffic:
            await traffic.answered()
            for provider, routers in (("Gateway", 0), ("Router", 2)):
                began = time.monotonic()
                await deployed.patch({"spec": {"traffic": {"provider": provider}}})
                await until(provider, partial(_settled, deployed, routers), 90)
                log.info("%s after %.1f s", provider, time.monotonic() - began)
                await traffic.answered()
        assert traffic.seen.failures == []
        log.info("%d requests, none failed", sum(map(traffic.seen.total, ("rest", "grpc"))))
        await deployed.delete()

    play(scenario)


async def _settled(deployed: Deployed, routers: int) -> bool:
    """
    Tell whether just so many routers are there, all ready, and the routes lead where they should.
    """
    pods = await deployed.cluster.pods(deployed.name, "router")
    path = "/apis/gateway.networking.k8s.io/v1"
    [route] = await deployed.cluster.children(path, "httproutes", deployed.name)
    ours = route["spec"]["rules"][0]["backendRefs"][0]["name"] == deployed.name
    return len(pods) == routers and all(map(is_ready, pods)) and ours == bool(routers)


def test_a_gateway_that_refuses_is_told_of() -> None:
    """
    A route that names a listener which is not there is nobody's; the condition says so.
    """

    async def scenario(cluster: Cluster) -> None:
        await _address()
        wrong = {"gateway": {"parentRefs": [{"name": "public", "sectionName": "none"}]}}
        deployed = await given(cluster, "refused", traffic=_little(wrong))

        async def told() -> bool:
            return (await deployed.condition("RoutesAccepted")).get("status") == "False"

        await until("a condition about the route", told, 60)
        log.info("it says: %s", (await deployed.condition("RoutesAccepted"))["message"])
        assert (await deployed.condition("Ready"))["status"] == "True"
        await deployed.delete()

    play(scenario)


def _little(traffic: dict[str, Any]) -> dict[str, Any]:
    resources = {"requests": {"cpu": "10m", "memory": "64Mi"}}
    return {"router": {"resources": resources}, **traffic}
