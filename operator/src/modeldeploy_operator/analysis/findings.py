"""
From measurements to the verdicts of external checks.

A check that others answer while the canary has traffic fails after so many bad measurements in a
row. One that a Job answers before any traffic is made once, and fails at once. An error in
measuring neither counts as a bad measurement nor as a good one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from modeldeploy_operator.analysis.checks import Criteria
from modeldeploy_operator.analysis.external import External, Measurement, Source
from modeldeploy_operator.analysis.judge import Verdict
from modeldeploy_operator.analysis.words import clip

SETTLED = frozenset({Verdict.PASSING, Verdict.FAILING})
SHORTEST = 1.0
"""No interval is shorter, in seconds."""
MESSAGE_BYTES, MESSAGES_BYTES = 300, 640
"""How long one message may be, and all of them together: they are kept in the status."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What is remembered of one external check.

    Attributes:
        name: The check.
        asked: A hash of what it asked for when this was found.
        verdict: What it says; a failing one stays so for this canary.
        value: The last value.
        samples: How many requests the value is made of.
        bad: How many bad measurements there were in a row.
        step: The step whose weight was effective at the last measurement; -1 for none.
        message: Why, unless it passes.

    """

    name: str
    asked: str
    verdict: Verdict = Verdict.WAITING
    value: float | None = None
    samples: int = 0
    bad: int = 0
    step: int = -1
    message: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What is remembered of a canary's external checks.

    Attributes:
        looked_at: When others were asked last.
        records: One for each check.

    """

    looked_at: datetime | None = None
    records: tuple[Finding, ...] = ()

    @property
    def failed(self) -> bool:
        """
        Whether one of the checks has failed.
        """
        return any(record.verdict is Verdict.FAILING for record in self.records)


NOTHING_FOUND = Findings()


@dataclass(frozen=True, slots=True)
class Found:
    """
    One check's verdict, as the status tells it.
    """

    name: str
    verdict: Verdict
    value: str
    threshold: str
    samples: int
    message: str
    before_traffic: bool


def is_due(
    criteria: Criteria, findings: Findings, since: datetime | None, now: datetime
) -> tuple[External, ...]:
    """
    Return the checks to ask others for: all that need traffic, once in each interval.

    Args:
        criteria: By what the canary is judged.
        findings: What is remembered.
        since: When the weight of the present step was effective, so that a first answer in a step
            is about that step; None while it is not.
        now: The time.

    """
    moments = [moment for moment in (findings.looked_at, since) if moment is not None]
    if moments and (now - max(moments)).total_seconds() < max(criteria.interval, SHORTEST):
        return ()
    return tuple(check for check in criteria.external if not check.before_traffic)


def take(
    criteria: Criteria,
    before: Findings,
    measured: Mapping[str, Measurement],
    step: int,
    now: datetime,
) -> Findings:
    """
    Add measurements to what is remembered; answers to what is no longer asked are dropped.

    Args:
        criteria: By what the canary is judged.
        before: What is remembered.
        measured: Check name to what was measured.
        step: The step whose weight is effective; -1 for none.
        now: The time of the look.

    """
    room = min(MESSAGE_BYTES, MESSAGES_BYTES // max(1, len(criteria.external)))
    records = []
    looked_at = before.looked_at
    for check in criteria.external:
        record = _known(before, check)
        measurement = measured.get(check.name)
        if measurement is not None and measurement.asked == check.asked:
            if not check.before_traffic:
                looked_at = now
            record = _judge(check, record, measurement, criteria.failure_limit)
            record = replace(record, step=step, message=clip(record.message, room))
        records.append(record)
    return Findings(looked_at if records else None, tuple(records))


def wanted_jobs(
    criteria: Criteria, findings: Findings, measured: Mapping[str, Measurement]
) -> tuple[str, ...]:
    """
    Name the checks whose Job is to be there: those without a verdict, and those that have one.
    """
    return tuple(
        check.name
        for check in criteria.external
        if check.before_traffic
        and (check.name in measured or _known(findings, check).verdict not in SETTLED)
    )


def results(criteria: Criteria, findings: Findings, step: int) -> tuple[Found, ...]:
    """
    Tell each check's verdict at a step.
    """
    return tuple(_result(check, _known(findings, check), step) for check in criteria.external)


def _known(findings: Findings, check: External) -> Finding:
    for record in findings.records:
        if (record.name, record.asked) == (check.name, check.asked):
            return record
    return Finding(check.name, check.asked)


def _judge(check: External, record: Finding, measured: Measurement, failure_limit: int) -> Finding:
    if record.verdict is Verdict.FAILING or (check.before_traffic and record.verdict in SETTLED):
        return record
    if measured.pending:
        return replace(record, verdict=Verdict.WAITING, message=measured.pending)
    if measured.value is None:
        return replace(record, verdict=Verdict.UNMEASURED, message=measured.problem)
    value = float(f"{measured.value:.6g}")
    record = replace(record, value=value, samples=measured.samples)
    if check.is_good(measured.value):
        return replace(record, verdict=Verdict.PASSING, bad=0, message="")
    bad = record.bad + 1
    limit = 1 if check.before_traffic else failure_limit
    verdict = Verdict.FAILING if bad >= limit else Verdict.WAITING
    return replace(record, verdict=verdict, bad=bad, message=_why(check, measured, bad, limit))


def _why(check: External, measured: Measurement, bad: int, limit: int) -> str:
    told = measured.message
    if check.source is Source.JOB:
        return f"The Job failed: {told}"
    if check.source is Source.REPLAY:
        return f"{told} Good is {check.threshold}."
    value = check.shown(measured.value)
    return (
        f"The value is {value}, where {check.threshold} is good; {bad} of the {limit} bad "
        "measurements in a row that fail the check."
    )


def _result(check: External, record: Finding, step: int) -> Found:
    verdict, message = record.verdict, record.message
    fresh = check.before_traffic or record.step == step
    if verdict is Verdict.PASSING and not fresh:
        verdict, message = Verdict.WAITING, "It was not measured in this step yet."
    if verdict is Verdict.WAITING and not message:
        message = "It was not measured yet."
    return Found(
        check.name,
        verdict,
        check.shown(record.value),
        check.threshold,
        record.samples,
        message,
        check.before_traffic,
    )
