"""
Canaries that judge themselves: the bad ones are taken back, the good ones promoted.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, given, play, processes_of
from testkit.traffic import Traffic

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

ERRORS = {"name": "errors", "errorRate": {"max": "10%", "maxIncrease": "1%"}}
SLOW = {"name": "slow", "latency": {"max": "30ms", "maxIncrease": "10%"}}


@contextlib.contextmanager
def stopped(processes: Iterable[int]) -> Iterator[None]:
    """
    Stop processes, and let them go on afterwards.
    """
    numbers = list(processes)
    assert numbers
    for number in numbers:
        os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        for number in numbers:
            os.kill(number, signal.SIGCONT)


def _rollout(*checks: dict[str, Any], **analysis: Any) -> dict[str, Any]:
    return {
        "steps": [{"weight": 50, "hold": "5s"}],
        "analysis": {"interval": "2s", "minRequests": 400, "checks": list(checks), **analysis},
    }


@pytest.mark.parametrize(
    ("version", "words"),
    [
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
        got = sum(counts[str(version)] for counts in traffic.seen.versions.values()) + hurt
        log.info("version %d was out after %d requests, of which %d failed", version, got, hurt)
        assert got <= 2000
        assert version == 5 or hurt == 0, traffic.seen.failures
        assert (await deployed.status())["stable"]["version"] == "1"
        await deployed.delete()

    play(scenario)


@pytest.mark.long
def test_a_canary_that_fails_every_request_is_out_at_once() -> None:
    """
    Within fifty of its requests or three seconds, by its checks or by the routers alone.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "fails-all", rollout=_rollout(ERRORS))
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await deployed.want_version(4)
            chapter = await deployed.until_outcome("Aborted")
            await traffic.answered()
        hurt = len(traffic.seen.failures)
        assert hurt, chapter
        took = traffic.seen.failed_at[-1] - traffic.seen.failed_at[0]
        log.info("%d requests failed in %.2f s: %s", hurt, took, chapter["message"])
        assert hurt <= 50 or took <= 3.0, traffic.seen.failures
        assert (await deployed.condition("Stalled"))["reason"] in {"CheckFailed", "BreakerTripped"}
        await deployed.delete()

    play(scenario)


def test_a_burst_of_failures_needs_no_operator() -> None:
    """
    With the operator stopped, each router takes the canary out by itself; awake again, it aborts.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "bursts", rollout={"steps": [{"weight": 50, "hold": "1h"}]})
        await deployed.want_version(4)
        await deployed.until_weight("50%")
        (pod,) = await cluster.operator_pods()
        with stopped(processes_of(pod, "modeldeploy_operator")):
            async with Traffic(await deployed.host(), MODEL, pause=0.005) as traffic:
                await traffic.answered(600)
                hurt = len(traffic.seen.failures)
                await traffic.answered(100)
                assert len(traffic.seen.failures) == hurt
        # Two routers, each of which must see twenty, and what is sent while they look.
        took = traffic.seen.failed_at[-1] - traffic.seen.failed_at[0]
        log.info("%d requests failed in %.2f s until both routers took the canary out", hurt, took)
        assert 20 <= hurt <= 200, traffic.seen.failures
        assert took < 1.0
        chapter = await deployed.until_outcome("Aborted")
        assert "requests failed" in chapter["message"]
        assert (await deployed.condition("Stalled"))["reason"] == "BreakerTripped"
        await deployed.delete()

    play(scenario)


@pytest.mark.long
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


@pytest.mark.long
def test_a_canary_without_traffic_waits_unless_told_otherwise() -> None:
    """
    `Wait` keeps the share after the hold for as long as nobody sends anything.
    """

    async def scenario(cluster: Cluster) -> None:
        deployed = await given(cluster, "waits", rollout=_rollout(ERRORS, onNoData="Wait"))
        await deployed.want_version(2)
        held = await deployed.until_condition("Reconciling", "True", "AwaitingRequests")
        assert "waits for requests" in held["message"]
        canary = (await deployed.status())["canary"]
        assert canary["weight"]["effective"] == "50%"
        assert canary["checks"][0]["verdict"] == "Waiting"
        await deployed.patch({"spec": {"rollout": {"analysis": {"onNoData": "Continue"}}}})
        await deployed.until_stable(2)
        await deployed.delete()

    play(scenario)
