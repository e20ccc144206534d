"""
Gates: what must hold before a canary goes on, in order.

Each is a named predicate that returns None when it is passed, and otherwise says in one sentence
what it waits for. The name is the condition's reason, and a heading in docs/reference/gates.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from modeldeploy_operator.rollout import weights
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary
from modeldeploy_operator.rollout.snapshot import Pool, Snapshot
from modeldeploy_operator.rollout.steps import Step


@dataclass(frozen=True, slots=True)
class Trial:
    """
    What the gates look at: one canary at one step.

    Attributes:
        wanted: What the user asks for.
        canary: Where the canary stands.
        step: The step that it is at.
        need: The ready pods that the step's weight asks for.
        share: The weight that is published for it now.
        seen: What was seen.
        now: The time of the pass.
        rescued: Whether the canary answers everything, as stable has no ready pod.

    """

    wanted: Wanted
    canary: Canary
    step: Step
    need: int
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
        started = self.canary.step_started_at
        return started + timedelta(seconds=self.step.hold) if started else None


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
        if pool.ready >= trial.need or pool.stage != name:
            return None
        count = f"{pool.ready} of {trial.need} canary pods are ready"
        why = f": {pool.failure.message}" if pool.failure else ""
        return f"Waiting until {STAGES[name]}; {count}{why}."

    return gate


def _awaiting_routers(trial: Trial) -> str | None:
    up = trial.seen.up(trial.canary.revision.revision)
    if trial.seen.routers and up >= trial.need:
        return None
    if not trial.seen.routers:
        return routerless(trial.seen)
    return f"Waiting until every router finds {trial.need} canary pods healthy; {up} are."


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


def _awaiting_approval(trial: Trial) -> str | None:
    canary = trial.canary
    if not trial.step.approval or canary.approved or canary.released or canary.full:
        return None
    where = f"{canary.revision.revision}/{canary.step + 1}"
    return (
        f"Waiting for approval at {weights.text(trial.step.weight)}: annotate with "
        f"serving.modeldeploy.io/action=approve@{where}."
    )


Gate = Callable[[Trial], str | None]

BEFORE_WEIGHT: tuple[tuple[str, Gate], ...] = (
    *((name, _stage(name)) for name in STAGES),
    ("AwaitingRouters", _awaiting_routers),
    ("Paused", _paused_weight),
)
"""What must hold before the step's weight is published."""

AFTER_WEIGHT: tuple[tuple[str, Gate], ...] = (
    ("Paused", _paused),
    ("Holding", _holding),
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
