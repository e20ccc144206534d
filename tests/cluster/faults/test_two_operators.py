"""
Two operators, a new one, and one that sleeps, in mid-canary and under load: clients notice nothing.
"""

import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from testkit.cluster import (
    MODEL,
    OPERATOR_NAMESPACE,
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

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(420)]

STEPS = {"steps": [{"weight": 30, "approval": True}]}
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/modeldeploy-operator"
LEASE_SECONDS = 15


async def _operator(*args: str) -> None:
    """
    Change the operator's own Deployment, as its administrator, and wait until that is carried out.
    """
    followed = ("rollout", "status", "deployment/modeldeploy-operator", "--timeout=50s")
    for command in (args, followed):
        await kubectl(*command, f"--namespace={OPERATOR_NAMESPACE}")


async def _settled(cluster: Cluster, count: int) -> None:
    """
    Wait until just so many operators are there, ready, and one of them leads.
    """

    async def stand() -> bool:
        pods = await cluster.operator_pods()
        ready = [
            pod
            for pod in pods
            if any(c["ready"] for c in pod["status"].get("containerStatuses", []))
            and "deletionTimestamp" not in pod["metadata"]
        ]
        names = [pod["metadata"]["name"] for pod in pods]
        return len(pods) == len(ready) == count and (await _holder(cluster)) in names

    await until(f"{count} operators", stand)


async def _holder(cluster: Cluster) -> str:
    """
    Read which pod holds the lease.
    """
    holder: str = (await cluster.kube.get(LEASE))["spec"].get("holderIdentity", "")
    return holder


@asynccontextmanager
async def _two(cluster: Cluster) -> AsyncIterator[None]:
    await _operator("scale", "deployment/modeldeploy-operator", "--replicas=2")
    try:
        await _settled(cluster, 2)
        yield
    finally:
        await _operator("scale", "deployment/modeldeploy-operator", "--replicas=1")
        await _settled(cluster, 1)


async def _lives(deployed: Deployed) -> dict[str, Any]:
    """
    List the model pods, each with how often its containers began anew.
    """
    pods = await deployed.cluster.pods(deployed.name, "server")
    return {
        pod["metadata"]["uid"]: [c["restartCount"] for c in pod["status"]["containerStatuses"]]
        for pod in pods
    }


def test_a_leader_that_sleeps_in_mid_canary_costs_nothing() -> None:
    """
    The other one goes on with the rollout; the old one wakes after its lease and does no harm.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "two-operators", rollout=STEPS)
        async with _two(cluster), Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            canary = await deployed.until_weight("30%")
            leader = await _holder(cluster)
            [pod] = [p for p in await cluster.operator_pods() if p["metadata"]["name"] == leader]
            [process] = processes_of(pod, "modeldeploy_operator")
            os.kill(process, signal.SIGSTOP)
            asleep = time.monotonic()
            try:
                await deployed.act(f"approve@{canary['revision']}/1")
                await deployed.until_stable(2)
                took = time.monotonic() - asleep
                log.info("the other operator finished the rollout after %.0f s", took)
                assert took > LEASE_SECONDS / 2
                assert await _holder(cluster) != leader
                before = await deployed.read()
            finally:
                os.kill(process, signal.SIGCONT)

            async def ended() -> bool:
                return process not in processes_of(pod, "modeldeploy_operator")

            await until("the old operator ends", ended)
            await _settled(cluster, 2)
            after = await deployed.read()
            assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
            await deployed.want_version(1)
            await deployed.until_weight("30%", 1)
            await traffic.answered()
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


def test_a_new_operator_in_mid_canary_restarts_no_model_pod() -> None:
    """
    Even where the new one would write pods in another way, those that run stay as they are.

    The other way is another pull policy, which the operator puts into every pod that it makes.
    """
    env = ("set", "env", "deployment/modeldeploy-operator")

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "operator-upgrade", rollout=STEPS)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            canary = await deployed.until_weight("30%")
            before = await _lives(deployed)
            [old] = [pod["metadata"]["name"] for pod in await cluster.operator_pods()]
            await _operator(*env, "MODELDEPLOY_PULL_POLICY=Always")
            try:
                await _settled(cluster, 1)
                assert await _holder(cluster) != old
                await traffic.answered()
                assert await _lives(deployed) == before
                assert (await deployed.status())["canary"]["weight"]["effective"] == "30%"
                await deployed.act(f"approve@{canary['revision']}/1")
                await deployed.until_stable(2)
                after = await _lives(deployed)
                assert after.items() <= before.items(), json.dumps([before, after])
            finally:
                await _operator(*env, "MODELDEPLOY_PULL_POLICY=IfNotPresent")
                await _settled(cluster, 1)
            await traffic.answered()
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)
