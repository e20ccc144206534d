"""
Canaries that judge themselves: the bad ones are taken back, the good ones promoted.
"""

from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, given, play
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

ERRORS = {"name": "errors", "errorRate": {"max": "10%", "maxIncrease": "1%"}}
SLOW = {"name": "slow", "latency": {"max": "30ms", "maxIncrease": "10%"}}


def _rollout(*checks: dict[str, Any], **analysis: Any) -> dict[str, Any]:
    return {
        "steps": [{"weight": 50, "hold": "5s"}],
        "analysis": {"interval": "2s", "minRequests": 400, "checks": list(checks), **analysis},
    }


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param(4, "canary requests failed", marks=pytest.mark.long, id="fails-all"),
        pytest.param(5, "canary requests failed", id="fails-some"),
        pytest.param(6, "took longer than 0.03 s", marks=pytest.mark.long, id="slow"),
    ],
)
def test_a_bad_canary_is_taken_back_by_its_checks(version: int, words: str) -> None:
    """
    By what was counted alone, under traffic, and before it gets more than its step.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, f"judged-{version}", rollout=_rollout(ERRORS, SLOW))
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(version)
            chapter = await deployed.until_outcome("Aborted")
            assert words in chapter["message"]
            assert chapter["version"] == str(version)
            hurt = len(traffic.seen.failures)
            assert (await deployed.condition("Stalled"))["reason"] == "CheckFailed"
            await traffic.answered(50)
            assert len(traffic.seen.failures) == hurt
        assert (await deployed.status())["stable"]["version"] == "1"
        await deployed.delete()

    play(scenario)


def test_a_good_canary_passes_its_checks() -> None:
    """
    It waits for enough requests, tells what it saw, and is promoted.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "passes", rollout=_rollout(ERRORS, SLOW))
        await deployed.want_version(2)
        await deployed.until_condition("Reconciling", "True", "AwaitingRequests")
        async with Traffic(await deployed.host(), MODEL) as traffic:
            status = await deployed.until_stable(2)
        assert traffic.seen.failures == []
        assert status["history"][0]["outcome"] == "Promoted"
        await deployed.delete()

    play(scenario)


@pytest.mark.long
@pytest.mark.parametrize(("policy", "stable"), [("Continue", 2), ("Rollback", 1)])
def test_a_canary_without_traffic_ends_as_the_user_says(policy: str, stable: int) -> None:
    """
    Nobody sends anything: `Continue` promotes after the hold, and `Rollback` takes it back.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "silent", rollout=_rollout(ERRORS, onNoData=policy))
        await deployed.want_version(2)
        if stable == 1:
            chapter = await deployed.until_outcome("Aborted")
            assert "waits for requests" in chapter["message"]
        await deployed.until_stable(stable)
        await deployed.delete()

    play(scenario)
