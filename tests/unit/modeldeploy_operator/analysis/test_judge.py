"""
Verdicts: what each look adds, and what a check says then.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from modeldeploy_operator.analysis import judge
from modeldeploy_operator.analysis.checks import Check, Criteria, Evidence
from modeldeploy_operator.analysis.judge import UNSEEN, Analysis, Result, Verdict
from modeldeploy_operator.analysis.kinds import ErrorRate, Latency, Shadow
from modeldeploy_operator.analysis.tally import Drift, Tally
from testkit.objects import NOW

ERRORS = Check("errors", ErrorRate(max=0.01, max_increase=0.005))
SLOW = Check("slow", Latency(0.2, share=0.01, max_increase=0.01))
CRITERIA = Criteria((ERRORS, SLOW), interval=30, min_requests=100)
MORE = "60 of 400 canary requests failed (15.00%) and 0.50% of stable's; at most 0.50% more may."
GOOD = Tally(attempts=1000, faults=1, refused=4, answered=995, slow={0.2: 5})


def _look(
    canary: Tally, before: Analysis = UNSEEN, step: int = 0, criteria: Criteria = CRITERIA
) -> Analysis:
    return judge.look(criteria.checks, before, Evidence(GOOD, canary), step, NOW)


def _of(analysis: Analysis, name: str = "errors", step: int = 0) -> Result:
    found = {result.name: result for result in judge.results(CRITERIA, analysis, step)}
    return found[name]


def test_a_look_is_due_at_once_and_then_at_intervals() -> None:
    """
    Without checks no look is ever taken.
    """
    looked = Analysis(NOW)
    assert judge.is_due(CRITERIA, UNSEEN, NOW)
    assert not judge.is_due(CRITERIA, looked, NOW + timedelta(seconds=29))
    assert judge.is_due(CRITERIA, looked, NOW + timedelta(seconds=30))
    assert not judge.is_due(Criteria(), UNSEEN, NOW)


def test_before_the_first_look_every_check_waits() -> None:
    """
    No look, no samples.
    """
    assert _of(UNSEEN) == Result(
        "errors", Verdict.WAITING, 0.0, 0.01, 0, "0 of 100 requests of this step have been seen."
    )


def test_enough_good_requests_pass() -> None:
    """
    A canary like stable passes both checks, and its value is the share that was seen.
    """
    analysis = _look(replace(GOOD, attempts=500, faults=2))
    assert _of(analysis) == Result("errors", Verdict.PASSING, 0.004, 0.01, 500, "")
    assert _of(analysis, "slow").verdict is Verdict.PASSING
    assert analysis.looked_at == NOW


@pytest.mark.parametrize(
    ("canary", "name", "message"),
    [
        (
            Tally(attempts=200, faults=20),
            "errors",
            "20 of 200 canary requests failed (10.00%), where at most 1.00% may.",
        ),
        (
            Tally(attempts=400, refused=60),
            "errors",
            MORE,
        ),
        (
            Tally(answered=200, slow={0.2: 30}),
            "slow",
            "30 of 200 canary requests took longer than 0.2 s (15.00%), where at most 1.00% may.",
        ),
    ],
)
def test_a_bad_canary_fails_with_its_figures(canary: Tally, name: str, message: str) -> None:
    """
    The server's faults count against the limit, the client's too against the increase.
    """
    result = _of(_look(canary), name)
    assert (result.verdict, result.message) == (Verdict.FAILING, message)


def test_a_check_that_has_failed_stays_so() -> None:
    """
    Good requests afterwards prove nothing: the users of the bad ones were hurt.
    """
    failed = _look(Tally(attempts=200, faults=20))
    later = _look(replace(GOOD, attempts=100_000), failed)
    assert _of(later).verdict is Verdict.FAILING


def test_each_step_must_see_enough_of_its_own() -> None:
    """
    The counts of the step begin anew; what speaks against the canary does not.
    """
    first = _look(replace(GOOD, attempts=150))
    assert _of(first, step=1).samples == 0
    second = _look(replace(GOOD, attempts=60), first, step=1)
    assert (_of(second, step=1).verdict, _of(second, step=1).samples) == (Verdict.WAITING, 60)
    assert second.records[0].canary.total == 210


def test_an_edited_check_begins_anew() -> None:
    """
    Another limit is another question.
    """
    first = _look(GOOD)
    edited = replace(CRITERIA, checks=(Check("errors", ErrorRate(max=0.5)), SLOW))
    second = _look(GOOD, first, criteria=edited)
    assert [record.canary.total for record in second.records] == [1000, 1990]


def test_what_cannot_be_measured_is_neither_good_nor_bad() -> None:
    """
    The look that failed adds nothing, and the next good one takes the complaint away.
    """
    evidence = Evidence(GOOD, GOOD, {"slow": "the buckets are too coarse"})
    analysis = judge.look(CRITERIA.checks, UNSEEN, evidence, 0, NOW)
    result = _of(analysis, "slow")
    assert (result.verdict, result.message) == (Verdict.UNMEASURED, "the buckets are too coarse")
    assert _of(_look(GOOD, analysis), "slow").verdict is Verdict.PASSING


def test_a_comparison_alone_has_a_moving_threshold() -> None:
    """
    Without a limit the threshold is stable's share and the increase.
    """
    criteria = Criteria((Check("errors", ErrorRate(max_increase=0.01)),), min_requests=1)
    analysis = judge.look(criteria.checks, UNSEEN, Evidence(GOOD, GOOD), 0, NOW)
    (result,) = judge.results(criteria, analysis, 0)
    assert (result.value, result.threshold) == (0.005, 0.015)


def test_a_limit_alone_is_not_compared() -> None:
    """
    Nothing of stable is remembered for it.
    """
    check = Check("slow", Latency(0.2, share=0.01))
    analysis = judge.look((check,), UNSEEN, Evidence(GOOD, GOOD), 0, NOW)
    assert check.tests == 1
    assert analysis.records[0].base.total == 0
    assert analysis.records[0].wealths == ()


DRIFT = Check("drift", Shadow(percent=10, tolerance=0.001, max_mismatch=0.01))
SHADOWED = Criteria((DRIFT,), min_requests=100)


def test_a_shadow_counts_comparisons_and_tells_how_answers_differ() -> None:
    """
    Differences add up over looks; the figures stand in the message whatever the verdict.
    """
    first = Drift(10, 0.5, 0.25, 10, 1, 1.0, 1.5, 2)
    tally = Tally(mirrored=60, drifted=0, drift=first)
    analysis = judge.look(SHADOWED.checks, UNSEEN, Evidence(GOOD, tally), 0, NOW)
    (result,) = judge.results(SHADOWED, analysis, 0)
    assert (result.verdict, result.samples) == (Verdict.WAITING, 60)
    second = Drift(10, 0.5, 0.75, 10, 0, 1.0, 1.5, 0)
    tally = Tally(mirrored=60, drifted=0, drift=second)
    analysis = judge.look(SHADOWED.checks, analysis, Evidence(GOOD, tally), 0, NOW)
    (result,) = judge.results(SHADOWED, analysis, 0)
    assert (result.verdict, result.value, result.threshold) == (Verdict.PASSING, 0.0, 0.01)
    assert result.message == (
        "Largest difference 0.75, mean 0.05; 1 of 20 classes flipped; "
        "1.50 times stable's latency; 2 requests skipped."
    )
    tally = Tally(mirrored=100, drifted=50, drift=Drift())
    analysis = judge.look(SHADOWED.checks, analysis, Evidence(GOOD, tally), 0, NOW)
    (result,) = judge.results(SHADOWED, analysis, 0)
    assert result.verdict is Verdict.FAILING
    assert result.message.startswith(
        "50 of 220 compared requests were answered otherwise than by stable (22.73%), where at "
        "most 1.00% may. Largest difference 0.75"
    )


def test_a_shadow_needs_no_traffic_and_compares_with_nobody_else() -> None:
    """
    Each comparison is with stable already.
    """
    what = DRIFT.what
    assert (what.increase, what.needs, what.needs_traffic) == (None, "shadow", False)
    assert DRIFT.tests == 1
    assert what.compared(Tally(mirrored=3, drifted=1)) == what.judged(Tally(mirrored=3, drifted=1))
    assert ERRORS.what.needs_traffic
    assert str(Drift()) == ""
