"""
From evidence to verdicts: each look adds to what is remembered, and each check has one verdict.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from modeldeploy_operator.analysis.betting import (
    NOTHING,
    Count,
    bet_on_increase,
    is_proven,
    wealth_against_limit,
    wealth_of,
)
from modeldeploy_operator.analysis.checks import (
    FALSE_ALARM_RATE,
    Check,
    Criteria,
    Evidence,
)
from modeldeploy_operator.analysis.tally import Drift, Tally

_DECIMALS = 3


class Verdict(StrEnum):
    """
    What a check says of the canary.
    """

    PASSING = "Passing"
    FAILING = "Failing"
    WAITING = "Waiting"
    UNMEASURED = "Unmeasured"


@dataclass(frozen=True, slots=True)
class Record:
    """
    What is remembered of one check.

    Attributes:
        name: The check.
        asked: A hash of what it asked for when the counting began; another wish begins anew.
        canary: What its limit is about, since the rollout began.
        compared: The canary's part of the comparison.
        base: Stable's part of the comparison.
        wealths: Logarithms of the wealth of betting on an increase.
        in_step: The canary's requests in the present step.
        failure: Why it failed; once failed, a check stays so for this canary.
        problem: Why the last look could not measure it.
        drift: How the canary's answers differed, where that is counted.

    """

    name: str
    asked: str
    canary: Count = NOTHING
    compared: Count = NOTHING
    base: Count = NOTHING
    wealths: tuple[float, ...] = ()
    in_step: int = 0
    failure: str = ""
    problem: str = ""
    drift: Drift | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """
    What is remembered of a canary's checks.

    Attributes:
        looked_at: When the last look was taken.
        step: The step that `in_step` counts in.
        records: One for each check.

    """

    looked_at: datetime | None = None
    step: int = 0
    records: tuple[Record, ...] = ()


UNSEEN = Analysis()


@dataclass(frozen=True, slots=True)
class Result:
    """
    One check's verdict, as the status tells it; `value` and `threshold` are shares from 0 to 1.
    """

    name: str
    verdict: Verdict
    value: float
    threshold: float
    samples: int
    message: str


def is_due(criteria: Criteria, analysis: Analysis, now: datetime) -> bool:
    """
    Tell whether it is time for another look.
    """
    if not criteria.checks:
        return False
    last = analysis.looked_at
    return last is None or (now - last).total_seconds() >= criteria.interval


def look(
    checks: tuple[Check, ...], before: Analysis, evidence: Evidence, step: int, now: datetime
) -> Analysis:
    """
    Add one look to what is remembered.
    """
    known = {record.name: record for record in before.records}
    tests = sum(check.tests for check in checks)
    alpha = FALSE_ALARM_RATE / max(1, tests)
    records = []
    for check in checks:
        record = known.get(check.name)
        asked = fingerprint(check)
        if record is None or record.asked != asked:
            record = Record(check.name, asked)
        if step != before.step:
            record = replace(record, in_step=0)
        records.append(_judge(check, _count(check, record, evidence), alpha))
    return Analysis(now, step, tuple(records))


def results(criteria: Criteria, analysis: Analysis, step: int) -> tuple[Result, ...]:
    """
    Tell each check's verdict at a step.
    """
    known = {
        record.name: record if analysis.step == step else replace(record, in_step=0)
        for record in analysis.records
    }
    return tuple(
        _result(check, known.get(check.name), criteria.min_requests) for check in criteria.checks
    )


def fingerprint(check: Check) -> str:
    """
    Hash what a check asks for, so that another wish is told from it.
    """
    return hashlib.sha256(repr(check.what).encode()).hexdigest()[:8]


def _count(check: Check, record: Record, evidence: Evidence) -> Record:
    problem = evidence.problems.get(check.name, "")
    if problem:
        return replace(record, problem=problem)
    canary, base = _compared(check, evidence.canary), _compared(check, evidence.stable)
    wealths = record.wealths
    if check.what.increase is not None:
        wealths = bet_on_increase(wealths, base, canary, record.base, check.what.increase)
    seen, told = check.what.judged(evidence.canary), check.what.told(evidence.canary)
    return replace(
        record,
        canary=record.canary + seen,
        compared=record.compared + canary,
        base=record.base + base,
        wealths=tuple(round(wealth, _DECIMALS) for wealth in wealths),
        in_step=record.in_step + seen.total,
        problem="",
        drift=(record.drift or Drift()) + told if told else record.drift,
    )


def _compared(check: Check, tally: Tally) -> Count:
    return check.what.compared(tally) if check.what.increase is not None else Count()


def _judge(check: Check, record: Record, alpha: float) -> Record:
    if record.failure:
        return record
    limit, increase = check.what.ceiling, check.what.increase
    if limit is not None and is_proven(wealth_against_limit(record.canary, limit), alpha):
        return replace(record, failure=_too_many(check, record.canary, limit))
    if increase is not None and is_proven(wealth_of(record.wealths), alpha):
        return replace(record, failure=_more(check, record, increase))
    return record


def _result(check: Check, record: Record | None, min_requests: int) -> Result:
    limit, increase = check.what.ceiling, check.what.increase
    record = record or Record(check.name, fingerprint(check))
    absolute = limit is not None
    value = record.canary.rate if absolute else record.compared.rate
    threshold = limit if limit is not None else record.base.rate + (increase or 0.0)
    verdict, message = Verdict.PASSING, ""
    if record.failure:
        verdict, message = Verdict.FAILING, record.failure
    elif record.problem:
        verdict, message = Verdict.UNMEASURED, record.problem
    elif record.in_step < min_requests:
        verdict = Verdict.WAITING
        message = f"{record.in_step} of {min_requests} requests of this step have been seen."
    if record.drift and (told := str(record.drift)):
        message = f"{message} {told[0].upper()}{told[1:]}.".strip()
    return Result(check.name, verdict, value, threshold, record.in_step, message)


def _too_many(check: Check, count: Count, limit: float) -> str:
    return (
        f"{count.bad} of {count.total} {check.what.subject} {check.what.verb} "
        f"({count.rate:.2%}), where at most {limit:.2%} may."
    )


def _more(check: Check, record: Record, increase: float) -> str:
    canary, base, what = record.compared, record.base, check.what
    return (
        f"{canary.bad} of {canary.total} {what.subject} {what.verb} ({canary.rate:.2%}) and "
        f"{base.rate:.2%} of stable's; at most {increase:.2%} more may."
    )
