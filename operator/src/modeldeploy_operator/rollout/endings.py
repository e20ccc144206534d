"""
How a trial ends: steady, promoted, superseded, or taken back.
"""

from dataclasses import replace
from datetime import datetime

from modeldeploy_operator.rollout import actions, gates, trial
from modeldeploy_operator.rollout.decision import (
    POLL_PODS,
    POLL_ROUTERS,
    POLL_UNWELL,
    Decision,
    Note,
    Wanted,
)
from modeldeploy_operator.rollout.memory import (
    CHAPTER_BYTES,
    HISTORY_LIMIT,
    Canary,
    Chapter,
    Memory,
    Outcome,
    Revision,
    Withdrawal,
    clip,
)
from modeldeploy_operator.rollout.snapshot import Pool, Snapshot
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import pools, turns


def steady(
    goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime
) -> Decision:
    """
    Let the stable revision answer everything, and remove what nobody sends to any more.
    """
    stable = memory.stable
    if stable is None:
        raise AssertionError("only a stable revision is steady")
    others = pools.lingering(memory, seen)
    routing = pools.route(stable.revision, None, 0, others, seen.routing)
    reason, message = _steady_reason(goal, wanted, memory, seen)
    leaving = set(seen.pools) - {stable.revision}
    settled = seen.effective(routing) and not leaving
    short = seen.ready(stable.revision) < wanted.replicas
    soon = POLL_ROUTERS if not settled else POLL_UNWELL
    return Decision(
        memory=memory,
        state=State.STEADY,
        reason=reason,
        message=message,
        pools={stable.revision: wanted.replicas, **others},
        routing=routing,
        stalled=memory.rejected is not None,
        look_again_at=now + soon if short or not settled else None,
    )


def _steady_reason(
    goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot
) -> tuple[str, str]:
    stable = memory.stable
    if stable is None:
        raise AssertionError("only a stable revision is steady")
    if memory.rejected:
        return memory.rejected.reason, memory.rejected.message
    if wanted.replicas == 0:
        return "Idle", "The deployment is scaled to zero."
    if goal != stable:
        waiting = "Paused" if wanted.paused else "AwaitingCleanup"
        return waiting, f"Version {goal.version} ({goal.revision}) waits for its rollout."
    lacking = _lacking(stable, wanted, seen)
    if lacking:
        return lacking
    if memory.undo:
        return "Undone", f"Version {stable.version} runs instead of what is wanted, by undo."
    return "Stable", f"Version {stable.version} answers all requests."


def _lacking(stable: Revision, wanted: Wanted, seen: Snapshot) -> tuple[str, str] | None:
    """
    Say which pods the stable revision lacks, routers first.
    """
    if not seen.routers:
        return "AwaitingRouters", gates.routerless(seen)
    pool = seen.pools.get(stable.revision, Pool(0, 0))
    if pool.ready >= wanted.replicas:
        return None
    why = f": {pool.failure.message}" if pool.failure else ""
    return pool.stage, f"{pool.ready} of {wanted.replicas} stable pods are ready{why}."


def supersede(
    goal: Revision, memory: Memory, seen: Snapshot, now: datetime
) -> tuple[Memory, tuple[Note, ...]]:
    """
    Take back a canary that is no longer wanted.

    Where it already serves for a stable revision that has no ready pod, it becomes the stable one
    instead: withdrawing it would take the last thing that answers.
    """
    canary, stable = memory.canary, memory.stable
    if canary is None or stable is None or canary.revision == goal:
        return memory, ()
    needed = trial.is_needed(stable, canary, seen) and goal != stable
    if canary.withdrawal and not needed:
        return memory, ()
    if goal == stable:
        message = f"The wanted version is {stable.version} again, which is stable."
        return actions.withdraw(memory, Outcome.ROLLED_BACK, "RolledBack", message), ()
    if needed:
        message = "It served while the stable revision had no ready pod."
        memory = close(memory, canary.revision, Outcome.PROMOTED, canary.started_at, now, message)
        return replace(memory, stable=canary.revision, canary=None), (
            Note("StableUnavailable", f"Version {canary.revision.version} is stable. {message}"),
        )
    message = f"Version {goal.version} ({goal.revision}) is wanted instead."
    return actions.withdraw(memory, Outcome.SUPERSEDED, "Superseded", message), ()


def withdraw(wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime) -> Decision:
    """
    Take a canary back: weight 0, confirmed by every router, then its pods go.
    """
    canary, stable = memory.canary, memory.stable
    if canary is None or stable is None or canary.withdrawal is None:
        raise AssertionError("only a marked canary is withdrawn")
    order, revision = canary.withdrawal, canary.revision.revision
    both = turns.look(stable.revision, revision, seen)
    if canary.shrunk and (order.since is None or both.able > order.most_ready):
        order = replace(order, since=now, most_ready=both.able)
    shrunk = canary.shrunk and not _hurries(wanted, canary, order, seen, now)
    turn = turns.plan(wanted, turns.BACK, both, shrunk=shrunk)
    needed = trial.is_needed(stable, canary, seen)
    others = {**pools.lingering(memory, seen)}
    role = revision if turn.weight else None
    routing = pools.route(stable.revision, role, turn.weight, [revision, *others], seen.routing)
    if needed and seen.routing and seen.routing.share(revision):
        routing = seen.routing
    elif turn.weight == 0 and seen.effective(routing):
        return _withdrawn(wanted, memory, seen, now)
    message = order.message
    if needed:
        message = "The canary serves until the stable revision has a ready pod."
    elif turn.weight:
        message = (
            f"{message} Stable takes the traffic back pod by pod; "
            f"{both.able} of {wanted.replicas} are ready."
        )
    shrunk = turns.is_shrunk(wanted, canary, turn, both)
    memory = replace(memory, canary=replace(canary, withdrawal=order, shrunk=shrunk))
    return Decision(
        memory=memory,
        state=State.WITHDRAWING,
        reason="StableUnavailable" if needed else order.reason,
        message=message,
        pools={stable.revision: turn.stable, revision: turn.canary, **others},
        routing=routing,
        look_again_at=now + (POLL_PODS if needed or turn.weight else POLL_ROUTERS),
    )


def _hurries(
    wanted: Wanted, canary: Canary, order: Withdrawal, seen: Snapshot, now: datetime
) -> bool:
    """
    Tell whether stable takes everything back at once, however few pods it has by now.

    So it is where the canary has no ready pod, where a router has taken it out, and where stable's
    pods have made no progress for as long as the progress deadline says.
    """
    revision = canary.revision.revision
    if seen.ready(revision) == 0 or seen.tripped(revision) is not None:
        return True
    waited = (now - order.since).total_seconds() if order.since else 0.0
    return waited >= wanted.progress_deadline


def _withdrawn(wanted: Wanted, memory: Memory, seen: Snapshot, now: datetime) -> Decision:
    canary = memory.canary
    if canary is None or canary.withdrawal is None:
        raise AssertionError("only a marked canary is withdrawn")
    order = canary.withdrawal
    memory = close(memory, canary.revision, order.outcome, canary.started_at, now, order.message)
    memory = replace(memory, canary=None)
    goal = memory.undo.to if memory.undo else wanted.revision
    decision = steady(goal, wanted, memory, seen, now)
    warning = order.outcome is Outcome.ABORTED
    return replace(decision, notes=(Note(order.reason, order.message, warning), *decision.notes))


def close(
    memory: Memory,
    revision: Revision,
    outcome: Outcome,
    started: datetime,
    now: datetime,
    message: str,
) -> Memory:
    """
    Write the last chapter of a revision's rollout into the history.
    """
    # Whole seconds, as the status keeps them, so that a chapter read back is the one written.
    began, ended = started.replace(microsecond=0), now.replace(microsecond=0)
    told = clip(message, CHAPTER_BYTES)
    chapter = Chapter(revision.revision, revision.version, outcome, began, ended, told)
    return replace(memory, history=(chapter, *memory.history)[:HISTORY_LIMIT])
