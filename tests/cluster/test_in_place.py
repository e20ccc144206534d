"""
InPlace: versions change inside the pods that run, under the load of clients that must not notice.
"""

import logging
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, Deployed, given, play, until
from testkit.traffic import Rest, Seen, Traffic, send_many

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(900)]

PATIENCE = 240
"""Seconds in which a changed list has reached the pods, and what is on it is loaded."""


async def _pods(deployed: Deployed) -> dict[str, int]:
    """
    List the serving pods by uid, each with how often its containers were started anew.
    """
    pods = await deployed.cluster.pods(deployed.name, "server")
    return {
        pod["metadata"]["uid"]: sum(c["restartCount"] for c in pod["status"]["containerStatuses"])
        for pod in pods
    }


async def _leaves(deployed: Deployed, left: int) -> None:
    """
    Wait until the pods hold no more versions than this.
    """

    async def alone() -> bool:
        return len((await deployed.status())["versions"]) == left

    await until(f"{deployed.name} holds {left} versions", alone, PATIENCE)


async def _is_stable(deployed: Deployed, version: str) -> bool:
    return bool((await deployed.status())["stable"]["version"] == version)


def _nothing_failed(seen: Seen) -> None:
    log.info("answers: %s", {name: dict(counts) for name, counts in seen.versions.items()})
    assert seen.failures == []
    assert min(seen.total("rest"), seen.total("grpc")) > 100


STEPS: list[dict[str, Any]] = [{"weight": 30, "approval": True}]
ROLLOUT = {"strategy": "InPlace", "steps": STEPS}


def test_a_version_is_promoted_inside_the_pods() -> None:
    """
    It is loaded beside the served one, gets its share and then everything; no pod is made for it.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "inplace", replicas=2, rollout=ROLLOUT)
        pods = await _pods(deployed)
        assert len(pods) == 2
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            canary = await deployed.until_weight("30%", seconds=PATIENCE)
            assert canary["readyReplicas"] == 2
            assert (await deployed.status())["replicas"] == 2
            seen = await send_many([Rest(await deployed.host(), MODEL)], 200)
            assert 30 <= seen.versions["rest"]["2"] <= 90
            await deployed.act(f"approve@{canary['revision']}/1")
            await until("version 2 is promoted", lambda: _is_stable(deployed, "2"))
            seen = await send_many([Rest(await deployed.host(), MODEL)], 50)
            assert seen.versions["rest"] == {"2": 50}
            await deployed.until_stable(2, PATIENCE)
            await _leaves(deployed, 1)
        _nothing_failed(traffic.seen)
        assert await _pods(deployed) == pods
        await deployed.delete()

    play(scenario)


def test_a_version_that_is_taken_back_leaves_the_pods() -> None:
    """
    An abort in mid-rollout unloads it; a version that is not there never gets in.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "inplace", replicas=2, rollout=ROLLOUT)
        pods = await _pods(deployed)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(2)
            canary = await deployed.until_weight("30%", seconds=PATIENCE)
            await deployed.act(f"abort@{canary['revision']}")
            await deployed.until_condition("Stalled", "True", "Aborted")
            await _leaves(deployed, 1)
            seen = await send_many([Rest(await deployed.host(), MODEL)], 50)
            assert seen.versions["rest"] == {"1": 50}
            await deployed.want_version(404)
            failed = await deployed.until_condition("Stalled", "True", "VersionNotFound", PATIENCE)
            assert "404" in failed["message"]
        _nothing_failed(traffic.seen)
        assert await _pods(deployed) == pods
        await deployed.delete()

    play(scenario)


def test_what_is_no_version_goes_by_rolling() -> None:
    """
    Other resources need other pods: they replace the old ones one by one, and serve in place again.
    """

    async def scenario(cluster: Cluster) -> None:
        rollout = {"strategy": "InPlace", "steps": [{"weight": 50}]}
        deployed = await given(cluster, "inplace", replicas=2, rollout=rollout)
        pods = await _pods(deployed)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.patch({"spec": {"resources": {"requests": {"memory": "65Mi"}}}})
            await deployed.until_stable(1, PATIENCE)
            others = await _pods(deployed)
            assert not set(others) & set(pods)
            await deployed.want_version(2)
            await deployed.until_stable(2, PATIENCE)
            assert await _pods(deployed) == others
        _nothing_failed(traffic.seen)
        await deployed.delete()

    play(scenario)
