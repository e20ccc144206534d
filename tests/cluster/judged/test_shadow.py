"""
Canaries that are compared with stable before anybody gets their answers.
"""

import logging
import time
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, given, play, until
from testkit.traffic import Seen, Traffic

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(400)]

DRIFT = {"name": "drift", "shadow": {"percent": 50, "tolerance": 0.001, "maxMismatch": "1%"}}
DRIFTING, EQUAL = 2, 12


def _rollout(**step: Any) -> dict[str, Any]:
    return {
        "steps": [{"weight": 0, **step}, {"weight": 50}],
        "analysis": {"interval": "2s", "minRequests": 100, "checks": [DRIFT]},
    }


def _only_stable_answered(seen: Seen) -> None:
    assert seen.failures == []
    for protocol, versions in seen.versions.items():
        assert set(versions) == {"1"}, (protocol, versions)
        assert versions["1"] >= 50, (protocol, versions)


def test_a_drifting_canary_is_stopped_before_anybody_gets_its_answers() -> None:
    """
    Its answers differ by 1 from stable's: every client was answered by stable, over REST and gRPC.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "drifts", rollout=_rollout())
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(DRIFTING)
            began = time.monotonic()
            chapter = await deployed.until_outcome("Aborted", 200)
            took = time.monotonic() - began
            await traffic.answered(50)
        log.info("stopped after %.1f s: %s; %s", took, chapter["message"], traffic.seen.versions)
        _only_stable_answered(traffic.seen)
        assert chapter["version"] == str(DRIFTING)
        assert "answered otherwise than by stable (100.00%)" in chapter["message"]
        assert "Largest difference 1, mean 1" in chapter["message"]
        assert (await deployed.condition("Stalled"))["reason"] == "CheckFailed"
        assert (await deployed.status())["stable"]["version"] == "1"
        await deployed.delete()

    play(scenario)


def test_an_equal_canary_is_compared_first_and_promoted_then() -> None:
    """
    It gets traffic only after its answers were the same as often as was asked for.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "agrees", rollout=_rollout(approval=True))
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(EQUAL)
            await deployed.until_condition("Reconciling", "True", "AwaitingApproval", 200)
            canary = (await deployed.status())["canary"]
            (check,) = canary["checks"]
            log.info("before any traffic: %s", check)
            _only_stable_answered(traffic.seen)
            assert (check["verdict"], check["value"]) == ("Passing", "0.00%")
            assert check["samples"] >= 100
            assert canary["weight"]["effective"] == "0%"
            await deployed.act(f"approve@{canary['revision']}/1")
            status = await deployed.until_stable(EQUAL, 200)
            assert status["history"][0]["outcome"] == "Promoted"

            async def answers() -> bool:
                versions = traffic.seen.versions.values()
                return all(seen[str(EQUAL)] >= 50 for seen in versions)

            await until("the new version answers", answers)
        log.info("promoted: %s", traffic.seen.versions)
        assert traffic.seen.failures == []
        await deployed.delete()

    play(scenario)
