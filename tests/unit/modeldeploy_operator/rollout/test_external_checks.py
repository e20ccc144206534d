"""
Decisions about canaries that others judge.
"""

from dataclasses import replace
from datetime import timedelta

from modeldeploy_operator.analysis.checks import Criteria
from modeldeploy_operator.analysis.external import External, Measurement, Source
from modeldeploy_operator.analysis.findings import Finding, Findings
from modeldeploy_operator.analysis.judge import Verdict
from modeldeploy_operator.rollout.decide import decide
from modeldeploy_operator.rollout.decision import POLL_PODS, Decision, Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory
from modeldeploy_operator.rollout.snapshot import Pool, Router, Routing, Snapshot
from modeldeploy_operator.rollout.strategy import steps
from modeldeploy_operator.rollout.trial import is_needed
from testkit.objects import NOW
from testkit.world import revision, steps_of

JOB = External("job", Source.JOB, "q1", min=1.0)
WEB = External("web", Source.WEB, "q2", max=1.0)
STEPS = steps_of(10, 50, hold=60)
CRITERIA = Criteria(external=(JOB, WEB), interval=10)
V2 = Wanted(revision("v2"), 2, STEPS, progress_deadline=30, criteria=CRITERIA)
CANARY = Canary(revision("v2"), 0, steps.fingerprint(STEPS), NOW)
STABLE = Memory(stable=revision("v1"))
TRYING = replace(STABLE, canary=CANARY)
NONE_YET = Routing({"a": "v1", "b": "v2"}, "v1", "v2", 0)
GOOD = {"job": Measurement("q1", 1.0)}


def _seen(weight: int = 0, ready: int = 1, **measured: Measurement) -> Snapshot:
    pools = {"v1": Pool(2, 2), "v2": Pool(1, ready)}
    router = Router(1, {"v1": 2, "v2": ready})
    routing = replace(NONE_YET, weight=weight)
    return Snapshot(pools, routing, 1, (router,), measured=measured)


def _weight(decision: Decision) -> int:
    return decision.routing.weight if decision.routing else -1


def test_no_traffic_before_the_job_has_succeeded() -> None:
    """
    The Job is made when the canary's pods answer, and the first weight waits for it.
    """
    decision = decide(V2, TRYING, _seen(ready=0), NOW)
    assert decision.jobs == ()
    decision = decide(V2, TRYING, _seen(), NOW)
    assert (decision.reason, decision.jobs, _weight(decision)) == ("AwaitingChecks", ("job",), 0)
    assert decision.message == "Waiting for the check job: It was not measured yet."
    runs = Measurement("q1", pending="The Job runs.")
    decision = decide(V2, TRYING, _seen(job=runs), NOW)
    assert decision.message == "Waiting for the check job: The Job runs."
    decision = decide(V2, TRYING, _seen(job=GOOD["job"]), NOW)
    assert (decision.reason, decision.jobs, _weight(decision)) == ("AwaitingWeight", ("job",), 1000)


def test_a_job_that_cannot_judge_holds_the_first_weight() -> None:
    """
    Nothing is rolled back.
    """
    broken = Measurement("q1", problem="No image.")
    decision = decide(V2, TRYING, _seen(job=broken), NOW)
    assert (decision.reason, _weight(decision)) == ("CheckUnmeasured", 0)
    assert decision.message == "The check job cannot be measured: No image."


def test_a_failed_job_ends_the_rollout() -> None:
    """
    Or stops it before any traffic, where the user says so; its Job goes with the canary.
    """
    failed = Measurement("q1", 0.0, message="Accuracy is 0.5.")
    decision = decide(V2, TRYING, _seen(job=failed), NOW)
    assert decision.memory.rejected is not None
    assert decision.memory.rejected.reason == "CheckFailed"
    assert "Accuracy is 0.5." in decision.memory.rejected.message
    assert decision.jobs == ()
    paused = replace(V2, criteria=replace(CRITERIA, pauses=True))
    decision = decide(paused, TRYING, _seen(job=failed), NOW)
    assert (decision.reason, decision.jobs, _weight(decision)) == ("CheckFailed", ("job",), 0)


def test_promote_full_skips_the_job() -> None:
    """
    As it skips all analysis.
    """
    full = replace(V2, action="promote-full@v2")
    seen = replace(_seen(), pools={"v1": Pool(2, 2), "v2": Pool(2, 2)})
    seen = replace(seen, routers=(Router(1, {"v1": 2, "v2": 2}),))
    decision = decide(full, TRYING, seen, NOW)
    assert (decision.reason, decision.jobs, _weight(decision)) == ("AwaitingWeight", (), 10_000)


def test_a_rollout_without_steps_waits_for_its_job() -> None:
    """
    Although the step that takes all the traffic has no other checks.
    """
    wanted = replace(V2, steps=steps_of(), criteria=Criteria(external=(JOB,)))
    canary = replace(CANARY, steps_hash=steps.fingerprint(wanted.steps))
    seen = replace(_seen(), pools={"v1": Pool(2, 2), "v2": Pool(2, 2)})
    seen = replace(seen, routers=(Router(1, {"v1": 2, "v2": 2}),))
    memory = replace(TRYING, canary=canary)
    assert decide(wanted, memory, seen, NOW).reason == "AwaitingChecks"
    decision = decide(wanted, memory, replace(seen, measured=GOOD), NOW)
    assert (decision.reason, _weight(decision)) == ("AwaitingWeight", 10_000)


def test_a_step_waits_for_what_others_say() -> None:
    """
    An answer in this step, and a good one; no answer is told apart from a bad one.
    """
    held = replace(CANARY, step_started_at=NOW - timedelta(hours=1), had_traffic=True)
    held = replace(held, external=Findings(None, (Finding("job", "q1", Verdict.PASSING),)))
    memory = replace(STABLE, canary=held)
    decision = decide(V2, memory, _seen(1000), NOW)
    assert decision.message == "Waiting for the check web: It was not measured yet."
    bad = _seen(1000, web=Measurement("q2", 2.0))
    decision = decide(V2, memory, bad, NOW)
    assert decision.reason == "AwaitingChecks"
    assert decision.look_again_at == NOW + timedelta(seconds=5)
    second = decide(V2, decision.memory, bad, NOW)
    assert second.memory.rejected is not None
    none = _seen(1000, web=Measurement("q2", problem="It is away."))
    assert decide(V2, memory, none, NOW).reason == "CheckUnmeasured"
    decision = decide(V2, memory, _seen(1000, web=Measurement("q2", 0.5)), NOW)
    assert decision.memory.canary is not None
    assert decision.memory.canary.step == 1


def test_the_next_look_is_not_slept_through() -> None:
    """
    A short interval asks for a pass in time.
    """
    quick = replace(V2, criteria=replace(CRITERIA, interval=2))
    held = replace(CANARY, step_started_at=NOW, had_traffic=True)
    seen = _seen(1000, web=Measurement("q2", 0.5))
    decision = decide(quick, replace(STABLE, canary=held), seen, NOW)
    assert decision.look_again_at == NOW + timedelta(seconds=2)
    assert decide(V2, TRYING, _seen(), NOW).look_again_at == NOW + POLL_PODS


def test_a_canary_that_others_found_bad_rescues_nobody() -> None:
    """
    Nobody is helped by wrong answers.
    """
    seen = replace(_seen(1000), pools={"v1": Pool(2, 0), "v2": Pool(1, 1)})
    canary = replace(CANARY, had_traffic=True)
    assert is_needed(revision("v1"), canary, seen)
    failed = Findings(None, (Finding("web", "q2", Verdict.FAILING),))
    assert not is_needed(revision("v1"), replace(canary, external=failed), seen)


def test_a_step_without_traffic_waits_for_no_answer() -> None:
    """
    Nobody can say anything of a canary that gets no requests; its Job is made meanwhile.
    """
    dry = steps_of(0, 50, hold=0)
    canary = replace(CANARY, steps_hash=steps.fingerprint(dry), step_started_at=NOW)
    wanted = replace(V2, steps=dry)
    decision = decide(wanted, replace(STABLE, canary=canary), _seen(), NOW)
    assert decision.memory.canary is not None
    assert (decision.memory.canary.step, decision.reason) == (1, "AwaitingChecks")
    assert decision.jobs == ("job",)


def test_what_fails_as_stable_dies_gets_nothing_more() -> None:
    """
    The answer that fails the check and the death of the stable pods are seen in one pass.
    """
    paused = replace(V2, criteria=Criteria(external=(WEB,), failure_limit=1, pauses=True))
    seen = _seen(1000, web=Measurement("q2", 2.0))
    seen = replace(seen, pools={"v1": Pool(2, 0), "v2": Pool(1, 1)})
    memory = replace(STABLE, canary=replace(CANARY, had_traffic=True))
    assert _weight(decide(paused, memory, seen, NOW)) == 1000


def test_an_answer_that_did_not_come_is_forgotten_where_nobody_is_asked() -> None:
    """
    The steps were edited meanwhile, and the present one has no traffic.
    """
    dry = steps_of(0, 50, hold=0)
    missing = Findings(None, (Finding("web", "q2", Verdict.UNMEASURED, message="It is away."),))
    canary = replace(CANARY, steps_hash=steps.fingerprint(dry), step_started_at=NOW)
    wanted = replace(V2, steps=dry, criteria=Criteria(external=(WEB,)))
    memory = replace(STABLE, canary=replace(canary, external=missing, had_traffic=True))
    decision = decide(wanted, memory, _seen(), NOW)
    assert decision.memory.canary is not None
    assert decision.memory.canary.step == 1
