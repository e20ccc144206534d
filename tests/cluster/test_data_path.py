"""
The data path: how soon it follows a decision, and who answers when serving pods are gone.
"""

import asyncio
import logging
import os
import signal
import statistics
import time
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, Deployed, given, play, processes_of, until
from testkit.traffic import Traffic

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(420)]

EDITS = 60
REVISION = "serving.modeldeploy.io/revision"
HALF = {"steps": [{"weight": 50, "approval": True}]}


def _step(weight: str) -> dict[str, Any]:
    return {"spec": {"rollout": {"steps": [{"weight": weight, "approval": True}]}}}


async def _edit_until_followed(deployed: Deployed, traffic: Traffic, turn: int) -> float:
    """
    Give all but nothing to the other version; return for how long the first still answered.
    """
    weight, old = ("99.99%", "1") if turn % 2 == 0 else ("0%", "2")
    began = time.monotonic()
    await deployed.patch(_step(weight))
    await deployed.until_weight(weight)
    await traffic.answered(40)
    return max(0.0, traffic.seen.last[old] - began)


def test_weights_on_the_data_path_follow_an_edit_within_two_seconds() -> None:
    """
    From an edit of the weight to the last answer of the version that lost it: 2 s at p99.

    The bound is for the way from the decision on; this is the whole way, kubectl included, seen by
    REST clients and by long-lived gRPC connections alike.
    """

    async def scenario(cluster: Cluster) -> None:
        steps = _step("0%")["spec"]["rollout"]
        deployed = await given(cluster, "follows", rollout=steps)
        async with Traffic(await deployed.host(), MODEL, pause=0.01) as traffic:
            await deployed.want_version(2)
            await deployed.until_condition("Reconciling", "True", "AwaitingApproval")
            took = sorted(
                [await _edit_until_followed(deployed, traffic, turn) for turn in range(EDITS)]
            )
        log.info(
            "%d edits: the data path followed after %.2f s (median), %.2f s (slowest)",
            *(EDITS, statistics.median(took), took[-1]),
        )
        assert traffic.seen.failures == []
        assert took[int(0.99 * EDITS)] <= 2.0
        await deployed.delete()

    play(scenario)


async def _break(deployed: Deployed, revision: str) -> None:
    """
    Kill the servers of a revision until the kubelet waits before it starts them again.
    """

    async def waits() -> bool:
        pods = await deployed.cluster.pods(deployed.name, "server")
        mine = [p for p in pods if p["metadata"]["labels"][REVISION] == revision]
        for pod in mine:
            for process in processes_of(pod, "modeldeploy-server"):
                os.kill(process, signal.SIGKILL)
        containers = [c for p in mine for c in p["status"].get("containerStatuses", [])]
        reasons = [c["state"].get("waiting", {}).get("reason") for c in containers]
        return bool(reasons) and all(reason == "CrashLoopBackOff" for reason in reasons)

    await until(f"the servers of {revision} are down", waits, poll=0.5)


def test_a_canary_answers_while_the_stable_version_is_down() -> None:
    """
    Stable breaks while the canary is fine: the canary answers everything, and no request fails.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "stable-breaks", rollout=HALF)
        await deployed.want_version(2)
        await deployed.until_weight("50%")
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered()
            await _break(deployed, await deployed.revision("stable"))

            async def told() -> bool:
                said = await deployed.condition("Reconciling")
                return "The stable revision has no ready pod" in said.get("message", "")

            await until("the status says who answers", told)
            assert (await deployed.condition("Ready"))["status"] == "True"
            stable = traffic.seen.last["1"]
            await traffic.answered(50)
            assert traffic.seen.last["1"] == stable
            await deployed.until_weight("50%")
            await traffic.answered(50)
            assert traffic.seen.last["1"] > stable
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)


def test_when_both_versions_are_down_weights_stay_and_all_come_back() -> None:
    """
    Both break: requests fail while nobody is there, the status says so, and all goes on after.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "both-break", rollout=HALF)
        await deployed.want_version(2)
        await deployed.until_weight("50%")
        stable = await deployed.revision("stable")
        canary = await deployed.revision("canary")
        await asyncio.gather(_break(deployed, stable), _break(deployed, canary))

        async def unready() -> bool:
            return str((await deployed.condition("Ready"))["status"]) == "False"

        await until("the status says that nobody answers", unready)
        await deployed.until_weight("50%")
        await deployed.until_condition("Reconciling", "True", "AwaitingApproval")
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await traffic.answered()
        assert traffic.seen.failures == []
        assert {"1", "2"} <= set(traffic.seen.versions["rest"])
        assert (await deployed.status())["canary"]["revision"] == canary
        await deployed.delete()

    play(scenario)
