"""
Gates: what must hold before a canary goes on, in order.

Each is a named predicate that returns None when it is passed, and otherwise says in one sentence
what it waits for. The name is the condition's reason, and a heading in docs/reference/gates.md.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from modeldeploy_operator.analysis import findings, judge
from modeldeploy_operator.analysis.checks import OnNoData
from modeldeploy_operator.analysis.findings import Found
from modeldeploy_operator.analysis.judge import Result, Verdict
from modeldeploy_operator.rollout import clock, weights
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary
from modeldeploy_operator.rollout.snapshot import Pool, Snapshot
from modeldeploy_operator.rollout.strategy.steps import Step
from modeldeploy_operator.rollout.strategy.turns import Turn


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What the gates look at: one canary at one step.

    Attributes:
        wanted: What the user asks for.
        canary: Where the canary stands.
        step: The step that it is at.
        turn: How much of the step there is room for now.
        share: The weight that is published for it now.
        seen: What was seen.
        now: The time of the pass.
        rescued: Whether the canary answers everything, as stable has no ready pod.

    """

    wanted: Wanted
    canary: Canary
    step: Step
    turn: Turn
    share: int
    seen: Snapshot
    now: datetime
    rescued: bool = False

    @property
    def pool(self) -> Pool:
        """
        The canary's pods; an empty pool before they exist.
        """
        return self.seen.pools.get(self.canary.revision.revision, Pool(desired=0, ready=0))

    @property
    def hold_ends_at(self) -> datetime | None:
        """
        When the hold is over; None before the weight is effective.
        """
        return clock.hold_ends_at(self.canary, self.step)

    @property
    def jobs(self) -> tuple[str, ...]:
        """
        The checks whose Jobs are to be there: from when the canary's pods answer, to its end.
        """
        if self.canary.full:
            return ()
        criteria, measured = self.wanted.criteria, self.seen.measured
        wanted = findings.wanted_jobs(criteria, self.canary.external, measured)
        ready = self.pool.ready >= max(1, self.turn.need)
        return tuple(name for name in wanted if ready or name in measured)

    def verdicts(self, verdict: Verdict) -> list[Result]:
        """
        Return the checks that have a verdict.

        None has a say once somebody asked to skip the analysis, and only a failure has at the step
        that takes all the traffic, as nothing is left to compare with. At a step without traffic
        no check waits for clients' requests.
        """
        if not self._has_a_say(verdict):
            return []
        found = judge.results(self.wanted.criteria, self.canary.analysis, self.canary.step)
        if verdict is Verdict.WAITING and self.step.weight == 0:
            checks = self.wanted.criteria.checks
            idle = {check.name for check in checks if check.what.needs_traffic}
            found = tuple(result for result in found if result.name not in idle)
        return [result for result in found if result.verdict is verdict]

    def external(self, verdict: Verdict) -> list[Found]:
        """
        Return the external checks that have a verdict, by the same rule.

        What is asked under traffic is not asked at a step without any, where an answer that did
        not come in an earlier step would be waited for in vain.
        """
        if not self._has_a_say(verdict) or (verdict is Verdict.WAITING and not self.step.weight):
            return []
        asked = self.step.weight > 0 or verdict is Verdict.FAILING
        return [found for found in self._found(verdict) if asked or found.before_traffic]

    def before_traffic(self, verdict: Verdict) -> list[Found]:
        """
        Return the external checks that have a verdict and keep the canary from its first traffic.
        """
        if self.canary.full or self.share or not self.step.weight:
            return []
        return [found for found in self._found(verdict) if found.before_traffic]

    def _has_a_say(self, verdict: Verdict) -> bool:
        is_last = self.step.weight == weights.FULL and verdict is not Verdict.FAILING
        return not self.canary.full and not is_last

    def _found(self, verdict: Verdict) -> list[Found]:
        found = findings.results(self.wanted.criteria, self.canary.external, self.canary.step)
        return [result for result in found if result.verdict is verdict]


@dataclass(frozen=True, slots=True)
class Blocked:
    """
    The gate that is not passed, and what it waits for.
    """

    gate: str
    message: str


STAGES = {
    "PullingImage": "the image is pulled",
    "FetchingModel": "the model is fetched",
    "LoadingModel": "the model is loaded",
    "AwaitingPods": "pods become ready",
}
"""What pods go through before they are ready, in order; each is a gate."""


def _stage(name: str) -> Callable[[Trial], str | None]:
    def gate(trial: Trial) -> str | None:
        pool = trial.pool
        if pool.ready >= trial.turn.need or pool.stage != name:
            return None
        count = f"{pool.ready} of {trial.turn.need} canary pods are ready"
        why = f": {pool.failure.message}" if pool.failure else ""
        return f"Waiting until {STAGES[name]}; {count}{why}."

    return gate


def _awaiting_routers(trial: Trial) -> str | None:
    up = trial.seen.up(trial.canary.revision.revision)
    if trial.seen.routers and up >= trial.turn.need:
        return None
    if not trial.seen.routers:
        return routerless(trial.seen)
    return f"Waiting until every router finds {trial.turn.need} canary pods healthy; {up} are."


def routerless(seen: Snapshot) -> str:
    """
    Say that no router is ready, and why if it shows.
    """
    why = f": {seen.router_failure.message}" if seen.router_failure else ""
    return f"No router is ready, so that no request reaches a pod{why}."


def _paused_weight(trial: Trial) -> str | None:
    if trial.wanted.paused and trial.step.weight > trial.share:
        return f"The rollout is paused at {weights.text(trial.share)}."
    return None


def _paused(trial: Trial) -> str | None:
    if trial.wanted.paused:
        return f"The rollout is paused at {weights.text(trial.share)}."
    return None


def _holding(trial: Trial) -> str | None:
    ends = trial.hold_ends_at
    if trial.canary.released or trial.canary.full or (ends and trial.now >= ends):
        return None
    return f"Holding {weights.text(trial.step.weight)} until {ends:%H:%M:%S} UTC."


def check_failed(trial: Trial) -> str | None:
    """
    Say which check has failed, and why.
    """
    failed: list[Result | Found] = [*trial.verdicts(Verdict.FAILING)]
    failed += trial.external(Verdict.FAILING)
    return f"The check {failed[0].name} has failed: {failed[0].message}" if failed else None


def _failed_weight(trial: Trial) -> str | None:
    return check_failed(trial) if trial.step.weight > trial.share else None


def _check_unmeasured(trial: Trial) -> str | None:
    return _unmeasured([*trial.verdicts(Verdict.UNMEASURED), *trial.external(Verdict.UNMEASURED)])


def _unmeasured_before(trial: Trial) -> str | None:
    return _unmeasured(trial.before_traffic(Verdict.UNMEASURED))


def _unmeasured(checks: Sequence[Result | Found]) -> str | None:
    if not checks:
        return None
    return f"The check {checks[0].name} cannot be measured: {checks[0].message}"


def _awaiting_checks(trial: Trial) -> str | None:
    return _waits(trial.external(Verdict.WAITING))


def _awaiting_before(trial: Trial) -> str | None:
    return _waits(trial.before_traffic(Verdict.WAITING))


def _waits(checks: Sequence[Found]) -> str | None:
    return f"Waiting for the check {checks[0].name}: {checks[0].message}" if checks else None


def _awaiting_requests(trial: Trial) -> str | None:
    waiting = trial.verdicts(Verdict.WAITING)
    if not waiting or trial.wanted.criteria.on_no_data is OnNoData.CONTINUE:
        return None
    return f"The check {waiting[0].name} waits for requests: {waiting[0].message}"


def _awaiting_approval(trial: Trial) -> str | None:
    canary = trial.canary
    if not trial.step.approval or canary.approved or canary.released or canary.full:
        return None
    where = f"{canary.revision.revision}/{canary.step + 1}"
    return (
        f"Waiting for approval at {weights.text(trial.step.weight)}: annotate with "
        f"serving.modeldeploy.io/action=approve@{where}."
    )


CHECK_FAILED, REQUESTS = "CheckFailed", "AwaitingRequests"
ROOM = "AwaitingRoom"
"""Stands between two turns of one step, where pods are scarce."""
UNMEASURED, CHECKS = "CheckUnmeasured", "AwaitingChecks"

Gate = Callable[[Trial], str | None]

BEFORE_WEIGHT: tuple[tuple[str, Gate], ...] = (
    *((name, _stage(name)) for name in STAGES),
    ("AwaitingRouters", _awaiting_routers),
    ("Paused", _paused_weight),
    (CHECK_FAILED, _failed_weight),
    (UNMEASURED, _unmeasured_before),
    (CHECKS, _awaiting_before),
)
"""What must hold before the step's weight is published."""

AFTER_WEIGHT: tuple[tuple[str, Gate], ...] = (
    ("Paused", _paused),
    (CHECK_FAILED, check_failed),
    ("Holding", _holding),
    (UNMEASURED, _check_unmeasured),
    (CHECKS, _awaiting_checks),
    (REQUESTS, _awaiting_requests),
    ("AwaitingApproval", _awaiting_approval),
)
"""What must hold before the step ends, once its weight is effective."""

CLOCKED = frozenset({*STAGES, "AwaitingRouters"})
"""The gates whose waiting counts towards the progress deadline."""


def first_blocked(gates: Iterable[tuple[str, Gate]], trial: Trial) -> Blocked | None:
    """
    Return the first gate that is not passed, or None when all are.
    """
    for name, gate in gates:
        message = gate(trial)
        if message is not None:
            return Blocked(name, message)
    return None
