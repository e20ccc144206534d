"""
What dies: the operator, routers, model pods, the API server. Clients see what they may see.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_operator.evidence.pods import is_ready
from testkit.cluster import (
    MODEL,
    Cluster,
    Deployed,
    given,
    kubectl,
    play,
    processes_of,
    until,
)
from testkit.traffic import Traffic

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

STEPS = {"steps": [{"weight": 30, "approval": True}]}
DEVCLUSTER = str(Path(sys.executable).with_name("devcluster"))


def _kill(pod: dict[str, Any], program: str) -> None:
    found = processes_of(pod, program)
    assert found, f"{program} does not run in {pod['metadata']['name']}"
    for process in found:
        os.kill(process, signal.SIGKILL)


async def _all_ready(deployed: Deployed, component: str, count: int) -> None:
    """
    Wait until so many pods of a component are ready.
    """

    async def ready() -> bool:
        pods = await deployed.cluster.pods(deployed.name, component)
        return len(pods) == count and all(is_ready(pod) for pod in pods)

    await until(f"{count} ready {component} pods of {deployed.name}", ready)


@pytest.mark.long
def test_an_operator_that_is_killed_in_mid_step_goes_on_where_it_stood() -> None:
    """
    Traffic flows as it was while the operator is dead, and the rollout goes on at the same step.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "operator-dies", rollout=STEPS)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            canary = await deployed.until_weight("30%")
            (pod,) = await cluster.operator_pods()
            _kill(pod, "modeldeploy_operator")
            await deployed.act(f"approve@{canary['revision']}/1")
            status = await deployed.until_stable(2)
            assert status["history"][0]["startedAt"] < str(canary["stepStartedAt"])
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


def test_routers_deleted_and_scaled_fail_no_request() -> None:
    """
    A router that is told to go costs nothing, whether deleted or scaled away.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "router-goes", rollout=STEPS)
        await _all_ready(deployed, "router", 2)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered()
            pod = (await cluster.pods(deployed.name, "router"))[0]
            await kubectl("delete", "pod", pod["metadata"]["name"])
            await traffic.answered()
            await _all_ready(deployed, "router", 2)
            await deployed.patch({"spec": {"traffic": {"router": {"replicas": 3}}}})
            await _all_ready(deployed, "router", 3)
            await deployed.patch({"spec": {"traffic": {"router": {"replicas": 2}}}})
            await _all_ready(deployed, "router", 2)
            await traffic.answered()
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("haproxy", id="haproxy"),
        # The end of the word tells the agent from the keeper.
        pytest.param("modeldeploy_router\0", id="container"),
    ],
)
def test_a_router_killed_fails_only_what_is_in_flight(program: str) -> None:
    """
    HAProxy dies, or the whole container: clients that come later wait for its next life.

    No client has more than one request in flight.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "router-dies", rollout=STEPS)
        await _all_ready(deployed, "router", 2)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered()
            pod = (await cluster.pods(deployed.name, "router"))[0]
            killed = time.monotonic()
            _kill(pod, program)
            await traffic.answered()
            await _all_ready(deployed, "router", 2)
            await traffic.answered()
        seen = traffic.seen
        what = program.strip("\0")
        log.info("%d requests failed when %s was killed", len(seen.failures), what)
        assert len(seen.failures) <= traffic.most_in_flight, seen.failures
        assert [at - killed for at in seen.failed_at if at - killed > 1.0] == []
        await deployed.delete()

    play(scenario)


def test_a_model_pod_killed_under_load_fails_no_request() -> None:
    """
    Requests that were not yet answered are sent again to another pod; nobody notices.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "pod-dies", replicas=2, rollout=STEPS)
        await _all_ready(deployed, "server", 2)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered()
            pod = (await cluster.pods(deployed.name, "server"))[0]
            _kill(pod, "modeldeploy-server")
            await traffic.answered()
            await _all_ready(deployed, "server", 2)
            pod = (await cluster.pods(deployed.name, "server"))[1]
            await kubectl("delete", "pod", pod["metadata"]["name"])
            await traffic.answered()
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


@pytest.mark.parametrize("seconds", [10, pytest.param(30, marks=pytest.mark.long)])
def test_an_api_server_that_is_away_costs_nothing(seconds: int) -> None:
    """
    While the API server is away everything answers, and the rollout goes on when it is back.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "api-away", rollout=STEPS)
        host = await deployed.host()
        async with Traffic(host, MODEL) as traffic:
            await deployed.want_version(2)
            canary = await deployed.until_weight("30%")
            command = [DEVCLUSTER, "stop", "kube-apiserver"]
            await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
            began = time.monotonic()
            try:

                async def long_enough() -> bool:
                    return time.monotonic() - began >= seconds

                await until(f"{seconds} s without an API server", long_enough)
                await traffic.answered()
            finally:
                command = [DEVCLUSTER, "start", "kube-apiserver"]
                await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
            await deployed.act(f"approve@{canary['revision']}/1")
            await deployed.until_stable(2)
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)
