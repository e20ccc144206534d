"""
Decisions about canaries that checks or routers have judged.
"""

from dataclasses import replace
from datetime import timedelta

from modeldeploy_operator.analysis.checks import Check, Criteria, Evidence
from modeldeploy_operator.analysis.judge import UNSEEN, Analysis, Record
from modeldeploy_operator.analysis.kinds import Latency
from modeldeploy_operator.rollout.decide import decide
from modeldeploy_operator.rollout.decision import POLL_HELD, POLL_PODS, Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory
from modeldeploy_operator.rollout.snapshot import Pool, Router, Routing, Snapshot
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import steps
from modeldeploy_operator.rollout.trial import is_needed
from testkit.objects import NOW
from testkit.world import revision, steps_of

CHECKS = (Check("slow", Latency(0.2, share=0.01)),)
STEPS = steps_of(10, 50, hold=60)
V2 = Wanted(revision("v2"), 2, STEPS, progress_deadline=30)
CANARY = Canary(revision("v2"), 0, steps.fingerprint(STEPS), NOW)
STABLE = Memory(stable=revision("v1"))
TRYING = replace(STABLE, canary=CANARY)
TENTH = Routing({"a": "v1", "b": "v2"}, "v1", "v2", 1_000)


def _seen(**ready: int) -> Snapshot:
    """
    Build a snapshot in which a tenth is confirmed and each named revision has so many ready pods.
    """
    pools = {name: Pool(2, count) for name, count in ready.items()}
    router = Router(1, dict(ready))
    return Snapshot(pools, TENTH, 1, (router, router))


def test_a_check_that_cannot_be_measured_holds_the_step() -> None:
    """
    An error in measuring is not a bad measurement: the step waits, whatever its hold says.
    """
    wanted = replace(V2, criteria=Criteria(CHECKS, min_requests=1))
    held = replace(CANARY, step_started_at=NOW - timedelta(hours=1), had_traffic=True)
    memory = replace(STABLE, canary=held)
    seen = replace(_seen(v1=2, v2=1), evidence=Evidence(problems={"slow": "no metrics"}))
    decision = decide(wanted, memory, seen, NOW)
    assert decision.reason == "CheckUnmeasured"
    assert decision.message == "The check slow cannot be measured: no metrics"
    assert decision.look_again_at == NOW + POLL_HELD


def test_a_look_is_taken_once_a_second_at_most() -> None:
    """
    An interval of nothing asks for the next pass no sooner than pods are polled.
    """
    wanted = replace(V2, criteria=Criteria(CHECKS, interval=0, min_requests=1))
    held = replace(CANARY, step_started_at=NOW, had_traffic=True)
    seen = replace(_seen(v1=2, v2=1), evidence=Evidence())
    decision = decide(wanted, replace(STABLE, canary=held), seen, NOW)
    assert decision.look_again_at == NOW + POLL_PODS


def test_a_canary_that_a_router_took_out_is_withdrawn() -> None:
    """
    One router is enough: what it saw is the reason.
    """
    seen = _seen(v1=2, v2=1)
    tripped = replace(seen.routers[0], tripped="v2", why="20 of its last 20 requests failed")
    decision = decide(V2, TRYING, replace(seen, routers=(seen.routers[0], tripped)), NOW)
    assert (decision.state, decision.reason) == (State.WITHDRAWING, "BreakerTripped")
    assert decision.message == (
        "A router sends everything to the stable revision again: 20 of its last 20 requests failed."
    )
    stale = replace(tripped, tripped="v9")
    other = decide(V2, TRYING, replace(seen, routers=(seen.routers[0], stale)), NOW)
    assert other.state is not State.WITHDRAWING


def test_a_canary_that_failed_a_check_serves_for_nobody() -> None:
    """
    It does not stand in for a stable revision that is down: nobody is helped by wrong answers.
    """
    failed = Analysis(NOW, 0, (Record("slow", "", failure="All were slow."),))
    canary = replace(CANARY, had_traffic=True, analysis=failed)
    seen = _seen(v1=0, v2=1)
    assert not is_needed(revision("v1"), canary, seen)
    assert is_needed(revision("v1"), replace(canary, analysis=UNSEEN), seen)
