"""
The report: from a decision and what was seen to the status that people and tools read.

The conditions follow kstatus: Reconciling and Stalled are there only while they are true, never
both, and Ready says whether the service answers.
"""

from datetime import datetime
from typing import Any

from modeldeploy_operator.analysis import findings, judge
from modeldeploy_operator.analysis.findings import Found
from modeldeploy_operator.analysis.judge import Result
from modeldeploy_operator.resource.latest.findings import Findings
from modeldeploy_operator.resource.latest.following import Following
from modeldeploy_operator.resource.status import (
    CanaryStatus,
    CheckStatus,
    Condition,
    ModelDeploymentStatus,
    RevisionStatus,
    Weight,
    dump_memory,
    versions_of,
)
from modeldeploy_operator.rollout import clock, weights
from modeldeploy_operator.rollout.decision import Decision, Wanted
from modeldeploy_operator.rollout.memory import CHAPTER_BYTES, Canary, Memory, Revision, clip
from modeldeploy_operator.rollout.snapshot import Failure, Pool, Snapshot
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import placement

TRUE, FALSE = "True", "False"


class _Conditions:
    """
    Collects conditions, keeping the time of each that did not change.
    """

    def __init__(self, before: dict[str, Any], generation: int, now: datetime) -> None:
        self._before = {c["type"]: c for c in before.get("conditions") or []}
        self._generation = generation
        self._now = now
        self.collected: list[Condition] = []

    def add(self, kind: str, status: str, reason: str, message: str) -> None:
        before = self._before.get(kind, {})
        same = before.get("status") == status
        since = before["lastTransitionTime"] if same else self._now.replace(microsecond=0)
        self.collected.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=clip(message),
                observed_generation=self._generation,
                last_transition_time=since,
            )
        )


def _conditions(decision: Decision, wanted: Wanted, seen: Snapshot, into: _Conditions) -> None:
    memory = decision.memory
    stable = memory.stable
    serving = _serving(decision, wanted, seen)
    waits = stable != wanted.revision and memory.undo is None
    moving = not decision.stalled and (waits or decision.look_again_at is not None)
    if serving:
        into.add("Ready", TRUE, "Idle" if wanted.replicas == 0 else "Serving", _serves(decision))
    else:
        into.add("Ready", FALSE, decision.reason, decision.message)
    promoted = stable == wanted.revision and memory.canary is None and memory.undo is None
    reason = "Promoted" if promoted else "Undone" if memory.undo else decision.reason
    into.add("Promoted", TRUE if promoted else FALSE, reason, decision.message)
    if moving:
        into.add("Reconciling", TRUE, decision.reason, decision.message)
    if decision.stalled:
        into.add("Stalled", TRUE, decision.reason, decision.message)
    for warning in _warnings(memory, seen)[:1]:
        into.add("SignatureWarning", TRUE, warning.code, warning.message)
    if seen.gateway:
        accepted = TRUE if seen.gateway.code == "RoutesAccepted" else FALSE
        into.add("RoutesAccepted", accepted, seen.gateway.code, seen.gateway.message)
    if seen.router_failure:
        failure = seen.router_failure
        into.add("RouterFailing", TRUE, failure.code, failure.message)
    if memory.refusal:
        into.add("ActionRefused", TRUE, "ActionRefused", memory.refusal)


def _warnings(memory: Memory, seen: Snapshot) -> list[Failure]:
    """
    Find what is wrong with the models that serve, the canary's first.
    """
    serving = [memory.canary.revision if memory.canary else None, memory.stable]
    pools = [seen.pools.get(revision.revision) for revision in serving if revision]
    return [pool.warning for pool in pools if pool and pool.warning]


def _serving(decision: Decision, wanted: Wanted, seen: Snapshot) -> bool:
    stable, canary = decision.memory.stable, decision.memory.canary
    if stable is None:
        return False
    helped = canary is not None and canary.had_traffic and seen.ready(canary.revision.revision) > 0
    answers = seen.ready(stable.revision) > 0 or helped
    return wanted.replicas == 0 or (answers and bool(seen.routers))


def _serves(decision: Decision) -> str:
    stable = decision.memory.stable
    return f"Version {stable.version} is stable." if stable else ""


def _weight(revision: str, decision: Decision, seen: Snapshot, before: dict[str, Any]) -> Weight:
    """
    Tell apart what is published and what every ready router has confirmed last.
    """
    desired = decision.routing.share(revision) if decision.routing else 0
    if decision.routing and seen.effective(decision.routing):
        effective = weights.text(desired)
    elif seen.routing and seen.confirmed:
        effective = weights.text(seen.routing.share(revision))
    else:
        effective = _last_effective(revision, before)
    return Weight(
        desired=weights.text(desired),
        effective=effective,
        observed=_observed(revision, decision, seen, before),
    )


def _last_effective(revision: str, before: dict[str, Any]) -> str:
    return str(_last_weight(revision, before).get("effective", weights.text(0)))


def _observed(
    revision: str, decision: Decision, seen: Snapshot, before: dict[str, Any]
) -> str | None:
    if decision.memory.canary is None:
        return None
    if revision in seen.shares:
        return weights.text(round(seen.shares[revision] * weights.FULL))
    last: str | None = _last_weight(revision, before).get("observed")
    return last


def _last_weight(revision: str, before: dict[str, Any]) -> dict[str, Any]:
    roles = [before.get(role) or {} for role in ("stable", "canary")]
    return next((dict(r["weight"]) for r in roles if r.get("revision") == revision), {})


def _revision(
    of: Revision, decision: Decision, seen: Snapshot, before: dict[str, Any]
) -> dict[str, Any]:
    pool = seen.pools.get(of.revision, Pool(0, 0))
    return {
        "revision": of.revision,
        "version": of.version,
        "replicas": decision.pools.get(of.revision, pool.desired),
        "ready_replicas": pool.ready,
        "weight": _weight(of.revision, decision, seen, before),
    }


def _canary(
    canary: Canary, wanted: Wanted, decision: Decision, seen: Snapshot, before: dict[str, Any]
) -> CanaryStatus:
    step = wanted.steps[min(canary.step, len(wanted.steps) - 1)]
    holding = decision.state is State.HOLDING and decision.reason == "Holding"
    return CanaryStatus(
        **_revision(canary.revision, decision, seen, before),
        step=min(canary.step, len(wanted.steps) - 1) + 1,
        steps=len(wanted.steps),
        step_started_at=canary.step_started_at,
        next_step_at=clock.hold_ends_at(canary, step) if holding else None,
        checks=_checks(canary, wanted) or None,
    )


def _checks(canary: Canary, wanted: Wanted) -> list[CheckStatus]:
    counted = judge.results(wanted.criteria, canary.analysis, canary.step)
    found = findings.results(wanted.criteria, canary.external, canary.step)
    return [*map(_check, counted), *map(_external, found)]


def _external(found: Found) -> CheckStatus:
    return CheckStatus(
        name=found.name,
        verdict=found.verdict,
        value=found.value,
        threshold=found.threshold,
        samples=found.samples,
        message=clip(found.message, CHAPTER_BYTES),
    )


def _check(result: Result) -> CheckStatus:
    return CheckStatus(
        name=result.name,
        verdict=result.verdict,
        value=f"{result.value:.2%}",
        threshold=f"{result.threshold:.2%}",
        samples=result.samples,
        message=clip(result.message, CHAPTER_BYTES),
    )


def build_status(
    decision: Decision,
    wanted: Wanted,
    seen: Snapshot,
    before: dict[str, Any],
    about: dict[str, Any],
) -> dict[str, Any]:
    """
    Build the whole status.

    Args:
        decision: What was decided.
        wanted: What is wanted.
        seen: What was seen.
        before: The present status, which keeps the times of unchanged conditions.
        about: `generation`, `selector`, `url` and `now`.

    """
    memory = decision.memory
    wanted = placement.fit(wanted, memory, wanted.revision)
    conditions = _Conditions(before, about["generation"], about["now"])
    _conditions(decision, wanted, seen, conditions)
    status = ModelDeploymentStatus(
        observed_generation=about["generation"],
        conditions=conditions.collected,
        stable=_stable(decision, seen, before),
        canary=_canary(memory.canary, wanted, decision, seen, before) if memory.canary else None,
        history=[
            {
                "revision": chapter.revision,
                "version": chapter.version,
                "outcome": chapter.outcome,
                "started_at": chapter.started_at,
                "finished_at": chapter.finished_at,
                "message": chapter.message,
            }
            for chapter in memory.history
        ],
        versions=versions_of(decision, seen),
        last_handled_action=memory.handled_action,
        replicas=seen.asked,
        selector=about["selector"],
        url=about["url"],
        rollout=dump_memory(memory),
    )
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _stable(decision: Decision, seen: Snapshot, before: dict[str, Any]) -> RevisionStatus | None:
    stable = decision.memory.stable
    return RevisionStatus(**_revision(stable, decision, seen, before)) if stable else None


def with_following(
    status: dict[str, Any],
    following: Following,
    findings: Findings,
    before: dict[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """
    Return the status with the version that `latest` stands for, and how the search for one goes.
    """
    fine, reason, message = following.told(findings)
    conditions = _Conditions(before, status["observedGeneration"], now)
    conditions.add("Following", TRUE if fine else FALSE, reason, message)
    told = [condition.model_dump(mode="json", by_alias=True) for condition in conditions.collected]
    status = {**status, "conditions": [*status["conditions"], *told]}
    if following.version:
        status["model"] = {"uri": following.uri, "version": following.version}
    return status


def with_stalled(
    status: dict[str, Any], reason: str, message: str, before: dict[str, Any], now: datetime
) -> dict[str, Any]:
    """
    Return the status with a trouble that stands in the way until a person mends it.
    """
    conditions = _Conditions(before, status["observedGeneration"], now)
    conditions.add("Stalled", TRUE, reason, message)
    stalled = conditions.collected[0].model_dump(mode="json", by_alias=True)
    others = [c for c in status["conditions"] if c["type"] not in ("Stalled", "Reconciling")]
    ready = [c for c in others if c["type"] == "Ready" and c["status"] == "False"]
    for condition in ready:
        condition.update(reason=reason, message=stalled["message"])
    return {**status, "conditions": [*others, stalled]}
