"""
From `kubectl apply` to the first answer, even spread, deletion, and an operator at rest.
"""

import logging
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_operator.cluster.port import GoneError
from testkit.cluster import (
    MODEL,
    Cluster,
    Deployed,
    apply,
    given,
    kubectl,
    manifest,
    play,
    processes_of,
    until,
)
from testkit.traffic import Client, Grpc, Rest, Seen, Traffic, send_many

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

FIRST_ANSWER_SECONDS = 20
RESIDENT_LIMIT_MB = 150
IDLE_CPU_LIMIT = 0.02
OBSERVED_SECONDS = 20
CHILDREN = (
    ("/api/v1", "configmaps"),
    ("/api/v1", "services"),
    ("/api/v1", "serviceaccounts"),
    ("/apis/apps/v1", "controllerrevisions"),
    ("/apis/policy/v1", "poddisruptionbudgets"),
    ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
)


@pytest.mark.requirement("row-17")
def test_from_apply_to_the_first_prediction_in_less_than_twenty_seconds() -> None:
    """
    With the images present, a model answers within 20 seconds of `kubectl apply`.
    """

    async def scenario(cluster: Cluster) -> None:
        warm = await given(cluster, "images-present")
        await warm.delete()
        started = time.monotonic()
        deployed = await apply(cluster, manifest("first-answer"))

        async def answers() -> bool:
            try:
                client = Rest(await deployed.host(), MODEL)
            except GoneError:
                return False
            seen = Seen()
            await client.predict(seen)
            await client.aclose()
            return seen.total("rest") == 1

        await until("the first answer", answers, 60, poll=0.1)
        took = time.monotonic() - started
        log.info("from apply to the first answer: %.1f s", took)
        assert took < FIRST_ANSWER_SECONDS
        await deployed.delete()

    play(scenario)


def _answers_by_pod(pods: list[dict[str, Any]]) -> list[float]:
    counts = []
    for pod in pods:
        url = f"http://{pod['status']['podIP']}:8501/monitoring/prometheus/metrics"
        with urllib.request.urlopen(url, timeout=5) as response:
            text = response.read().decode()
        found = re.findall(
            r'^modeldeploy_requests_total\{.*api="[Pp]redict".*\} (\S+)$', text, re.MULTILINE
        )
        counts.append(sum(map(float, found)))
    return counts


@pytest.mark.requirement("row-15")
def test_requests_spread_evenly_over_the_pods_of_a_version() -> None:
    """
    Each pod of a version gets within 20 % of its share, on a single gRPC connection too.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "spread", replicas=3)

        async def three() -> list[dict[str, Any]]:
            pods = await cluster.pods(deployed.name, "server")
            ready = (await deployed.status())["stable"]["readyReplicas"]
            return pods if len(pods) == ready == 3 else []

        pods = await until("three ready pods", three)
        host = await deployed.host()
        several: list[Client] = [Rest(host, MODEL) for _ in range(4)]
        one: list[Client] = [Grpc(host, MODEL)]
        for clients in (several, one):
            before = _answers_by_pod(pods)
            seen = await send_many(clients, 3000)
            assert seen.failures == []
            counts = [b - a for a, b in zip(before, _answers_by_pod(pods), strict=True)]
            log.info("%s: %s", clients[0].protocol, counts)
            assert sum(counts) >= 3000
            assert max(counts) <= 1.2 * sum(counts) / 3, counts
            assert min(counts) >= 0.8 * sum(counts) / 3, counts
        await deployed.delete()

    play(scenario)


def test_deleting_in_mid_rollout_leaves_nothing_and_re_creating_works() -> None:
    """
    Everything of a deleted object goes, and an object of the same name can come at once.
    """

    async def scenario(cluster: Cluster) -> None:
        rollout = {"steps": [{"weight": 30, "approval": True}]}
        deployed = await given(cluster, "again", rollout=rollout)
        await deployed.want_version(2)
        await deployed.until_weight("30%")
        async with Traffic(await deployed.host(), MODEL):
            await deployed.delete()
            again = await apply(cluster, manifest("again", 3))
            await again.until_stable(3)
        seen = await send_many([Rest(await again.host(), MODEL)], 100)
        assert seen.versions["rest"] == {"3": 100}
        await again.delete()
        for api, plural in CHILDREN:

            async def none(api: str = api, plural: str = plural) -> bool:
                return not await cluster.children(api, plural, "again")

            await until(f"no {plural} left", none)

    play(scenario)


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _resident_mb(process: int) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 1e6


async def _versions(deployed: Deployed) -> dict[str, str]:
    """
    Collect the resourceVersion of the object and of all that the operator made for it.
    """
    found = [await deployed.read()]
    found += (await deployed.cluster.deployments(deployed.name)).values()
    for api, plural in CHILDREN:
        found += await deployed.cluster.children(api, plural, deployed.name)
    return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in found}


def _passes(pod: dict[str, Any]) -> float:
    """
    Count the passes that an operator has made.
    """
    url = f"http://{pod['status']['podIP']}:8080/metrics"
    with urllib.request.urlopen(url, timeout=5) as response:
        text = response.read().decode()
    counts = re.findall(r"^modeldeploy_reconciles_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(map(float, counts))


def test_an_operator_at_rest_writes_nothing_and_costs_next_to_nothing() -> None:
    """
    Passes over an unchanged object write nothing, and an idle operator is small and still.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "at-rest")
        (pod,) = await cluster.operator_pods()
        (process,) = processes_of(pod, "modeldeploy_operator")
        for number in range(3):
            # An annotation that means nothing makes the operator look, and changes nothing else.
            before, passes = await _versions(deployed), _passes(pod)
            note = ("annotate", "--overwrite", "mdep", deployed.name, f"note={number}")
            version = "--output=jsonpath={.metadata.uid} {.metadata.resourceVersion}"
            uid, before_pass = (await kubectl(*note, version)).split()
            before[uid] = before_pass

            async def looked(passes: float = passes) -> bool:
                return _passes(pod) > passes

            await until("another pass", looked)
            assert await _versions(deployed) == before
        cpu, started = _cpu_seconds(process), time.monotonic()

        async def observed() -> bool:
            return time.monotonic() - started >= OBSERVED_SECONDS

        await until(f"{OBSERVED_SECONDS} quiet seconds", observed)
        share = (_cpu_seconds(process) - cpu) / (time.monotonic() - started)
        resident = _resident_mb(process)
        log.info("idle operator: %.1f MB resident, %.2f %% of a core", resident, 100 * share)
        assert await _versions(deployed) == before
        assert resident < RESIDENT_LIMIT_MB
        assert share < IDLE_CPU_LIMIT
        await deployed.delete()

    play(scenario)
