"""
What others say of a canary: good, bad, or nothing, and what follows from that.
"""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from modeldeploy_operator.analysis import findings
from modeldeploy_operator.analysis.checks import Criteria
from modeldeploy_operator.analysis.external import External, Measurement, Source
from modeldeploy_operator.analysis.findings import NOTHING_FOUND, Finding, Findings, Found
from modeldeploy_operator.analysis.judge import Verdict
from modeldeploy_operator.analysis.words import clip
from modeldeploy_operator.resource.status import dump_memory, load_memory
from modeldeploy_operator.rollout.memory import Canary, Memory
from testkit.objects import NOW
from testkit.world import revision

WEB = External("web", Source.WEB, "q1", max=1.0)
JOB = External("job", Source.JOB, "q2", min=1.0)
REPLAY = External("replay", Source.REPLAY, "q3", max=0.01)


def _of(check: External, *values: float | str | None, limit: int = 2) -> tuple[Findings, Found]:
    """
    Let one check be measured several times at step 0; a text is an error in measuring.
    """
    criteria = Criteria(external=(check,), failure_limit=limit)
    found = NOTHING_FOUND
    for value in values:
        measured = (
            Measurement(check.asked, problem=value)
            if isinstance(value, str)
            else Measurement(check.asked, value, 200, "It said so.")
        )
        found = findings.take(criteria, found, {check.name: measured}, 0, NOW)
    (result,) = findings.results(criteria, found, 0)
    return found, result


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((), Verdict.WAITING),
        ((0.5,), Verdict.PASSING),
        ((2.0,), Verdict.WAITING),
        ((2.0, 2.0), Verdict.FAILING),
        ((2.0, 0.5, 2.0), Verdict.WAITING),
        ((2.0, 2.0, 0.5), Verdict.FAILING),
        (("no answer",), Verdict.UNMEASURED),
        (("no answer",) * 9, Verdict.UNMEASURED),
        ((2.0, "no answer"), Verdict.UNMEASURED),
        ((2.0, "no answer", 2.0), Verdict.FAILING),
        (("no answer", 0.5), Verdict.PASSING),
    ],
)
def test_bad_measurements_in_a_row_fail(values: tuple[float | str, ...], verdict: Verdict) -> None:
    """
    A good one starts the row anew; an error in measuring neither adds to it nor ends it.
    """
    _, result = _of(WEB, *values)
    assert result.verdict is verdict


def test_what_failed_says_why() -> None:
    """
    The value, what is good, and how many were bad.
    """
    found, result = _of(WEB, 2.0, 3.0)
    assert result == Found(
        "web",
        Verdict.FAILING,
        "3",
        "at most 1",
        200,
        "The value is 3, where at most 1 is good; 2 of the 2 bad measurements in a row that fail "
        "the check.",
        before_traffic=False,
    )
    assert found.failed
    assert not NOTHING_FOUND.failed


def test_a_job_decides_at_once() -> None:
    """
    It is made once: its failure is one, whatever the limit, and its success stays.
    """
    _, result = _of(JOB, 0.0, limit=5)
    assert (result.verdict, result.value, result.threshold) == (
        Verdict.FAILING,
        "failure",
        "success",
    )
    assert result.message == "The Job failed: It said so."
    _, result = _of(JOB, 1.0, 0.0)
    assert (result.verdict, result.value, result.message) == (Verdict.PASSING, "success", "")


def test_a_replay_is_judged_by_its_share() -> None:
    """
    The recorded requests are what they are: one more than may differ fails.
    """
    _, result = _of(REPLAY, 0.01)
    assert (result.verdict, result.value, result.samples) == (Verdict.PASSING, "1.00%", 200)
    _, result = _of(REPLAY, 0.015)
    assert (result.verdict, result.threshold) == (Verdict.FAILING, "at most 1.00%")
    assert result.message == "It said so. Good is at most 1.00%."


def test_bounds() -> None:
    """
    Both bounds are good values themselves.
    """
    check = External("web", Source.PROMETHEUS, "q", min=0.25, max=0.75)
    assert [check.is_good(value) for value in (0.2, 0.25, 0.75, 0.8)] == [False, True, True, False]
    assert check.threshold == "at least 0.25 and at most 0.75"
    assert replace(check, max=None).threshold == "at least 0.25"
    assert check.shown(None) == ""
    assert check.shown(0.123456789) == "0.123457"


def test_a_step_ends_by_what_was_measured_in_it() -> None:
    """
    What was measured at another step, or while no weight was effective, says nothing of this one.
    """
    criteria = Criteria(external=(WEB, JOB))
    good = {"web": Measurement("q1", 0.5), "job": Measurement("q2", 1.0)}
    found = findings.take(criteria, NOTHING_FOUND, good, 0, NOW)
    assert [r.verdict for r in findings.results(criteria, found, 0)] == [Verdict.PASSING] * 2
    web, job = findings.results(criteria, found, 1)
    assert (web.verdict, job.verdict) == (Verdict.WAITING, Verdict.PASSING)
    assert web.message == "It was not measured in this step yet."
    found = findings.take(criteria, found, good, -1, NOW)
    assert findings.results(criteria, found, 0)[0].verdict is Verdict.WAITING


def test_an_edited_check_begins_anew() -> None:
    """
    Also a failed one; an answer to what is no longer asked is dropped.
    """
    failed, _ = _of(WEB, 2.0, 2.0)
    edited = Criteria(external=(replace(WEB, asked="other"),))
    late = {"web": Measurement("q1", 0.5)}
    found = findings.take(edited, failed, late, 0, NOW)
    (result,) = findings.results(edited, found, 0)
    assert (result.verdict, result.message) == (Verdict.WAITING, "It was not measured yet.")
    assert findings.take(Criteria(), failed, {}, 0, NOW) == NOTHING_FOUND


def test_when_others_are_asked() -> None:
    """
    Once in each interval, and a whole interval after the step's weight became effective.
    """
    criteria = Criteria(external=(WEB, JOB), interval=30)

    def due(looked: int | None, since: int | None) -> bool:
        moments = [None if s is None else NOW + timedelta(seconds=s) for s in (looked, since)]
        return findings.is_due(
            criteria, Findings(moments[0]), moments[1], NOW + timedelta(seconds=60)
        ) == (WEB,)

    assert due(None, None)
    assert due(30, None)
    assert due(30, 30)
    assert not due(31, 0)
    assert not due(0, 31)
    often = replace(criteria, interval=0)
    assert findings.is_due(often, Findings(NOW), None, NOW) == ()


def test_which_jobs_are_there() -> None:
    """
    Those without a verdict are made; one that has a verdict is kept, and not made again.
    """
    criteria = Criteria(external=(WEB, JOB, REPLAY))
    assert findings.wanted_jobs(criteria, NOTHING_FOUND, {}) == ("job", "replay")
    settled = Findings(
        None, (Finding("job", "q2", Verdict.PASSING), Finding("replay", "q3", Verdict.FAILING))
    )
    assert findings.wanted_jobs(criteria, settled, {}) == ()
    there = {"job": Measurement("q2", 1.0)}
    assert findings.wanted_jobs(criteria, settled, there) == ("job",)
    torn = Findings(None, (Finding("job", "q2", Verdict.UNMEASURED),))
    assert findings.wanted_jobs(criteria, torn, {}) == ("job", "replay")


def test_a_running_job_is_waited_for() -> None:
    """
    It says what it waits for.
    """
    criteria = Criteria(external=(JOB,))
    measured = {"job": Measurement("q2", pending="The Job runs.")}
    found = findings.take(criteria, NOTHING_FOUND, measured, -1, NOW)
    (result,) = findings.results(criteria, found, 0)
    assert (result.verdict, result.message) == (Verdict.WAITING, "The Job runs.")
    assert found.looked_at is None


def test_what_is_remembered_stays_small() -> None:
    """
    Eight checks with the longest names and much to say take less than 2 KB of the status.
    """
    checks = tuple(
        External(f"{number}{'x' * 39}", Source.WEB, "12345678", max=1.0) for number in range(8)
    )
    criteria = Criteria(external=checks)
    found = NOTHING_FOUND
    for _ in range(3):
        measured = {
            c.name: Measurement(c.asked, -0.123456789e-30, 100_000, problem="ä" * 1000)
            for c in checks
        }
        found = findings.take(criteria, found, measured, 19, NOW)
        measured = {c.name: Measurement(c.asked, problem="ä" * 1000) for c in checks}
        found = findings.take(criteria, found, measured, 19, NOW)
    canary = Canary(revision("v2"), 0, "hash", NOW, external=found)
    dumped = dump_memory(Memory(canary=canary))
    assert len(json.dumps(dumped["canary"]["external"], ensure_ascii=False).encode()) < 2048
    assert load_memory({"rollout": dumped}).canary == canary


def test_a_cut_message_shows_it() -> None:
    """
    It is cut between characters.
    """
    assert clip("abc", 3) == "abc"
    assert clip("äöü", 5) == "ä…"
