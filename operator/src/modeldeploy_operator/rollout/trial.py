"""
One pass over a canary: may it go on, what share does it get, is it to be taken back?
"""

from dataclasses import replace
from datetime import datetime, timedelta

from modeldeploy_operator.analysis import findings, judge
from modeldeploy_operator.analysis.checks import OnNoData
from modeldeploy_operator.rollout import actions, clock, gates, weights
from modeldeploy_operator.rollout.decision import (
    POLL_HELD,
    POLL_PODS,
    POLL_ROUTERS,
    Decision,
    Note,
    Wanted,
)
from modeldeploy_operator.rollout.gates import Blocked, Trial
from modeldeploy_operator.rollout.memory import Canary, Memory, Outcome, Revision
from modeldeploy_operator.rollout.snapshot import Routing, Snapshot
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import pools, steps, turns
from modeldeploy_operator.rollout.strategy.turns import Both

_RESCUE = "The stable revision has no ready pod, so the canary answers everything. "


def begin(revision: Revision, wanted: Wanted, now: datetime) -> Canary:
    """
    Start a canary at the first step.
    """
    return Canary(
        revision=revision,
        step=0,
        step_weight=wanted.steps[0].weight,
        steps_hash=steps.fingerprint(wanted.steps),
        started_at=now,
    )


def is_needed(stable: Revision, canary: Canary, seen: Snapshot) -> bool:
    """
    Tell whether only the canary can answer: it has had traffic, and stable has no ready pod.

    One that a check found bad is not needed: nobody is helped by wrong answers.
    """
    ready = seen.ready(canary.revision.revision)
    alone = ready > 0 and seen.ready(stable.revision) == 0
    return canary.had_traffic and not canary.failed and alone


def advance(wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime) -> Decision | Memory:
    """
    Decide about a canary that is under way.

    Returns:
        The decision; or a memory in which the canary is marked for withdrawal, or is the new
        stable revision, when this pass ends its trial.

    """
    canary = memory.canary
    stable = memory.stable
    if canary is None or stable is None:
        return memory
    both = turns.look(stable.revision, canary.revision.revision, seen)
    rescued = is_needed(stable, canary, seen)
    canary = steps.follow_edit(canary, wanted.steps, canary.step_weight if rescued else both.share)
    canary = _judge(wanted, canary, seen, now)
    # The look of this very pass counts, too.
    rescued = rescued and not canary.failed
    trial = _trial(wanted, canary, both, seen, now, rescued=rescued)
    failure = trial.pool.failure
    if failure and failure.permanent and trial.pool.ready < trial.turn.need and not rescued:
        return actions.withdraw(memory, Outcome.ABORTED, failure.code, failure.message)
    why = seen.tripped(canary.revision.revision)
    if why is not None:
        message = f"A router sends everything to the stable revision again: {why}."
        return actions.withdraw(memory, Outcome.ABORTED, "BreakerTripped", message)
    canary = trial.canary
    failed = gates.check_failed(trial)
    if failed and not wanted.criteria.pauses:
        marked = replace(memory, canary=canary)
        return actions.withdraw(marked, Outcome.ABORTED, gates.CHECK_FAILED, failed)
    blocked = gates.first_blocked(gates.BEFORE_WEIGHT, trial)
    clocked = blocked is not None and blocked.gate in gates.CLOCKED
    # A canary without routers to send to it is not to blame.
    counts = clocked and bool(seen.routers)
    canary = clock.run(canary, now, ready=trial.pool.ready, counts=counts)
    late = clock.waited(canary, now) >= wanted.progress_deadline
    if blocked and clocked and late and not rescued:
        message = (
            f"Step {canary.step + 1} made no progress for "
            f"{wanted.progress_deadline:g} s: {blocked.message}"
        )
        return actions.withdraw(memory, Outcome.ABORTED, "ProgressDeadlineExceeded", message)
    return _weigh(replace(trial, canary=canary), memory, blocked)


def _trial(
    wanted: Wanted, canary: Canary, both: Both, seen: Snapshot, now: datetime, *, rescued: bool
) -> Trial:
    step = steps.FINAL if canary.full else wanted.steps[canary.step]
    turn = turns.plan(wanted, step, both, shrunk=canary.shrunk)
    if rescued:
        turn = turns.relieve(wanted, turn, both)
    canary = replace(canary, shrunk=turns.is_shrunk(wanted, canary, turn, both))
    return Trial(wanted, canary, step, turn, both.share, seen, now, rescued)


def _judge(wanted: Wanted, canary: Canary, seen: Snapshot, now: datetime) -> Canary:
    """
    Let the checks take the looks that were taken.
    """
    evidence, criteria = seen.evidence, wanted.criteria
    step = canary.step if canary.step_started_at else -1
    external = findings.take(criteria, canary.external, seen.measured, step, now)
    canary = replace(canary, external=external)
    if evidence is None:
        return canary
    analysis = judge.look(criteria.checks, canary.analysis, evidence, canary.step, now)
    return replace(canary, analysis=analysis)


def _weigh(trial: Trial, memory: Memory, blocked: Blocked | None) -> Decision | Memory:
    """
    Give the canary its share: the step's if nothing stands before it, else what it has.
    """
    if trial.pool.ready == 0:
        # The hold is time with traffic: it begins anew when the canary is back.
        trial = replace(trial, canary=replace(trial.canary, step_started_at=None))
        weight = 0
    elif trial.rescued:
        weight = weights.FULL
    elif blocked:
        weight = min(trial.share, trial.turn.weight)
    else:
        weight = trial.turn.weight
    routing = _routing(trial, memory, weight)
    if blocked:
        return _decision(trial, memory, routing, State.PREPARING, blocked)
    if not trial.seen.effective(routing):
        awaiting = Blocked(
            "AwaitingWeight", f"Waiting until every router has confirmed {weights.text(weight)}."
        )
        return _decision(trial, memory, routing, State.SHIFTING, awaiting)
    had_traffic = trial.canary.had_traffic or weight > 0
    trial = replace(trial, canary=replace(trial.canary, had_traffic=had_traffic))
    if trial.turn.weight != trial.step.weight and not trial.rescued:
        return _decision(trial, memory, routing, State.PREPARING, _awaiting_room(trial))
    return _hold(trial, memory, routing)


def _awaiting_room(trial: Trial) -> Blocked:
    """
    Say on which way a turn has ended that was not the last one.
    """
    here, there = weights.text(trial.turn.weight), weights.text(trial.step.weight)
    who = "more canary pods" if trial.turn.weight < trial.step.weight else "stable pods"
    return Blocked(
        gates.ROOM, f"At {here} on the way to {there}: waiting until there is room for {who}."
    )


def _hold(trial: Trial, memory: Memory, routing: Routing) -> Decision | Memory:
    """
    Keep an effective weight until the step's gates are passed; then take the next step.
    """
    canary = replace(trial.canary, step_started_at=trial.canary.step_started_at or trial.now)
    trial = replace(trial, canary=canary)
    blocked = gates.first_blocked(gates.AFTER_WEIGHT, trial)
    if blocked and blocked.gate == gates.REQUESTS and _gives_up(trial):
        marked = replace(memory, canary=canary)
        return actions.withdraw(marked, Outcome.ABORTED, "NotEnoughRequests", blocked.message)
    if blocked:
        return _decision(trial, memory, routing, State.HOLDING, blocked)
    if trial.step.weight == weights.FULL:
        return replace(memory, stable=canary.revision, canary=None)
    following = replace(
        canary,
        step=canary.step + 1,
        step_weight=trial.wanted.steps[canary.step + 1].weight,
        step_started_at=None,
        approved=False,
        released=False,
        waiting_since=None,
        waited=0.0,
        most_ready=0,
    )
    return replace(memory, canary=following)


def _gives_up(trial: Trial) -> bool:
    return trial.wanted.criteria.on_no_data is OnNoData.ROLLBACK


def _routing(trial: Trial, memory: Memory, weight: int) -> Routing:
    stable = memory.stable.revision if memory.stable else ""
    revision = trial.canary.revision.revision
    others = pools.lingering(memory, trial.seen)
    return pools.route(stable, revision, weight, others, trial.seen.routing)


def _decision(
    trial: Trial, memory: Memory, routing: Routing, state: State, blocked: Blocked
) -> Decision:
    memory = replace(memory, canary=trial.canary)
    revision = trial.canary.revision.revision
    stable = memory.stable.revision if memory.stable else ""
    return Decision(
        memory=memory,
        state=state,
        reason=blocked.gate,
        message=_RESCUE + blocked.message if trial.rescued else blocked.message,
        pools={
            stable: trial.turn.stable,
            revision: trial.turn.canary,
            **pools.lingering(memory, trial.seen),
        },
        routing=routing,
        look_again_at=_look_again(trial, state),
        notes=_notes(trial, routing),
        preview=revision if trial.wanted.preview else None,
        jobs=trial.jobs,
    )


def _look_again(trial: Trial, state: State) -> datetime:
    if state is State.SHIFTING:
        return trial.now + POLL_ROUTERS
    if state is State.PREPARING:
        return trial.now + POLL_PODS
    ends = trial.hold_ends_at
    later = trial.now + POLL_HELD
    criteria, canary = trial.wanted.criteria, trial.canary
    counted = canary.analysis.looked_at if criteria.checks else None
    for looked in filter(None, (counted, canary.external.looked_at)):
        next_look = looked + timedelta(seconds=criteria.interval)
        later = min(later, max(next_look, trial.now + POLL_PODS))
    return min(later, ends) if ends and ends > trial.now else later


def _notes(trial: Trial, routing: Routing) -> tuple[Note, ...]:
    """
    Tell of a weight when it is first published, and of what keeps pods from being ready.
    """
    revision, failure = trial.canary.revision.revision, trial.pool.failure
    notes = [Note(failure.code, failure.message, warning=True)] if failure else []
    if warning := trial.pool.warning:
        notes.append(Note(warning.code, warning.message, warning=True))
    if routing.weight != trial.share:
        moved = f"The canary {revision} goes from {weights.text(trial.share)} to "
        told = f"{moved}{weights.text(routing.weight)} of the traffic."
        notes.append(Note("WeightChanged", told))
    return tuple(notes)
