"""
The decision: what is to be true next, from what is wanted, remembered and seen.

One pass takes at most one step of the order in which things must happen (capacity before traffic,
traffic before removal); whoever calls it again with what it then sees gets the next one.
"""

from dataclasses import replace
from datetime import datetime

from modeldeploy_operator.rollout import actions, clock, endings, gates, trial
from modeldeploy_operator.rollout.decision import POLL_PODS, POLL_UNWELL, Decision, Note, Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory, Outcome, Revision
from modeldeploy_operator.rollout.snapshot import Pool, Snapshot
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import placement, pools, standing


def decide(wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime) -> Decision:
    """
    Decide about one ModelDeployment; same arguments, same decision.
    """
    goal = _goal(wanted, memory, seen)
    memory, notes = actions.obey(placement.fit(wanted, memory, goal), memory, seen)
    memory = _lapse(wanted, clock.pause(wanted, memory, now))
    goal = _goal(wanted, memory, seen)
    wanted = placement.fit(wanted, memory, goal)
    decision = _decide(goal, wanted, memory, standing.hide(goal, wanted, memory, seen), now)
    decision = standing.add(decision, wanted, memory, seen, now)
    decision = placement.settle(decision, goal, memory, seen)
    again = decision.look_again_at and max(decision.look_again_at, now + seen.patience)
    return replace(decision, notes=(*notes, *decision.notes), look_again_at=again)


def _goal(wanted: Wanted, memory: Memory, seen: Snapshot) -> Revision:
    goal = memory.undo.to if memory.undo else wanted.revision
    return placement.place(goal, wanted, memory, seen)


def _lapse(wanted: Wanted, memory: Memory) -> Memory:
    """
    Forget an undo once another revision is wanted, and a rejection once it is about another.
    """
    undo = memory.undo
    if undo and undo.instead_of != wanted.revision.revision:
        undo = None
    goal = undo.to.revision if undo else wanted.revision.revision
    rejected = memory.rejected
    if rejected and rejected.revision != goal and memory.canary is None:
        rejected = None
    return replace(memory, undo=undo, rejected=rejected)


def _decide(
    goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime
) -> Decision:
    if memory.stable is None and not goal.revision:
        return _await_version(memory, seen, now)
    if memory.stable is None:
        return _first(goal, wanted, memory, seen, now)
    if wanted.replicas == 0:
        return _idle(goal, wanted, memory, seen, now)
    memory, told = endings.supersede(goal, memory, seen, now)
    canary = memory.canary
    if canary and canary.withdrawal:
        decision = endings.withdraw(wanted, memory, seen, now)
    elif canary:
        decision = _try(goal, wanted, memory, seen, now)
    elif _may_start(goal, wanted, memory, seen):
        started = replace(memory, canary=trial.begin(goal, wanted, now))
        note = Note("RolloutStarted", f"Version {goal.version} ({goal.revision}) is being tried.")
        decision = _try(goal, wanted, started, seen, now)
        decision = replace(decision, notes=(note, *decision.notes))
    else:
        decision = endings.steady(goal, wanted, memory, seen, now)
    return replace(decision, notes=(*told, *decision.notes))


def _await_version(memory: Memory, seen: Snapshot, now: datetime) -> Decision:
    """
    Leave everything as it is until somebody knows which version is wanted.
    """
    return Decision(
        memory=memory,
        state=State.STARTING,
        reason="AwaitingVersion",
        message="No complete version is known yet; the condition Following says why.",
        pools={revision: pool.desired for revision, pool in seen.pools.items()},
        routing=seen.routing,
        look_again_at=now + POLL_PODS,
    )


def _first(
    goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime
) -> Decision:
    """
    Give the first revision all the traffic as soon as a pod of it answers; no strategy runs.
    """
    changed = seen.routing is not None and seen.routing.stable != goal.revision
    started = now if changed or memory.first_started_at is None else memory.first_started_at
    # Without a router nobody sends to a pool without a ready pod: it goes at once.
    others = {
        revision: size
        for revision, size in pools.lingering(replace(memory, stable=goal), seen).items()
        if seen.routers or seen.ready(revision)
    }
    routing = pools.route(goal.revision, None, 0, others, seen.routing)
    answers = seen.ready(goal.revision) > 0 and seen.up(goal.revision) > 0
    if wanted.replicas == 0 or (answers and seen.effective(routing)):
        memory = replace(memory, stable=goal, first_started_at=None)
        memory = endings.close(
            memory, goal, Outcome.PROMOTED, started, now, "The first revision answers."
        )
        note = Note("Promoted", f"Version {goal.version} ({goal.revision}) answers all requests.")
        decision = endings.steady(goal, wanted, memory, seen, now)
        return replace(decision, notes=(note, *decision.notes))
    pool = seen.pools.get(goal.revision, Pool(desired=0, ready=0))
    failure = pool.failure
    late = (now - started).total_seconds() >= wanted.progress_deadline
    stalled = late or (failure is not None and failure.permanent)
    reason = pool.stage if pool.ready == 0 else "AwaitingRouters"
    message = f"Waiting until {gates.STAGES.get(reason, 'the routers find a pod healthy')}."
    if reason == "AwaitingRouters" and not seen.routers:
        message = gates.routerless(seen)
    if failure:
        reason, message = failure.code, failure.message
    elif late:
        reason = "ProgressDeadlineExceeded"
        message = f"No pod was ready within {wanted.progress_deadline:g} s: {message}"
    notes = (Note(reason, message, warning=True),) if failure else ()
    return Decision(
        memory=replace(memory, first_started_at=started),
        state=State.STARTING,
        reason=reason,
        message=message,
        pools={goal.revision: wanted.replicas, **others},
        routing=routing,
        stalled=stalled,
        look_again_at=now + (POLL_UNWELL if stalled else POLL_PODS),
        notes=notes,
    )


def _idle(
    goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime
) -> Decision:
    """
    Run nothing; a revision that is wanted meanwhile is stable as soon as there is room for it.
    """
    rejected = memory.rejected is not None and memory.rejected.revision == goal.revision
    canary = memory.canary
    if canary:
        outcome = Outcome.FAST_PROMOTED if canary.revision == goal else Outcome.SUPERSEDED
        message = "The deployment was scaled to zero."
        memory = endings.close(memory, canary.revision, outcome, canary.started_at, now, message)
    waits = rejected or placement.is_crowded(goal, seen)
    memory = replace(memory, stable=memory.stable if waits else goal, canary=None)
    return endings.steady(goal, wanted, memory, seen, now)


def _may_start(goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot) -> bool:
    if memory.stable == goal or wanted.paused or memory.stable is None:
        return False
    if memory.rejected and memory.rejected.revision == goal.revision:
        return False
    # What leaves pods that stay must be out of them before it is tried again, and leave no trace.
    before = seen.pools.get(goal.revision)
    leaves = before is not None and before.shared != "" and before.desired == 0
    return not leaves and set(seen.pools) <= {memory.stable.revision, goal.revision}


def _try(goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime) -> Decision:
    """
    Advance the canary; what ends its trial is decided in the same pass.
    """
    for _ in range(len(wanted.steps) + 1):
        canary = memory.canary
        result = trial.advance(wanted, memory, seen, now)
        if isinstance(result, Decision):
            return result
        memory = result
        if canary and memory.canary is None:
            return _promote(goal, wanted, memory, canary, (seen, now))
        if memory.canary and memory.canary.withdrawal:
            return endings.withdraw(wanted, memory, seen, now)
    raise AssertionError("a rollout has no more steps than its spec")


def _promote(
    goal: Revision, wanted: Wanted, memory: Memory, canary: Canary, at: tuple[Snapshot, datetime]
) -> Decision:
    seen, now = at
    outcome = Outcome.FAST_PROMOTED if canary.full else Outcome.PROMOTED
    message = f"Version {canary.revision.version} ({canary.revision.revision}) was promoted."
    memory = endings.close(memory, canary.revision, outcome, canary.started_at, now, message)
    decision = endings.steady(goal, wanted, memory, seen, now)
    return replace(decision, notes=(Note("Promoted", message), *decision.notes))
