"""
Placement: whether a revision moves into the pods of the stable one, or gets pods of its own.

With InPlace a version is loaded into running pods, beside the version that they serve. That is
possible for a change of the version alone; whatever else changes needs other pods, and goes by
Rolling.
"""

from dataclasses import replace

from modeldeploy_operator.rollout.decision import Decision, Wanted
from modeldeploy_operator.rollout.memory import Memory, Revision
from modeldeploy_operator.rollout.snapshot import Snapshot
from modeldeploy_operator.rollout.weights import FULL


def place(goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot) -> Revision:
    """
    Say in which pods a revision is to live; where it lives already it stays.
    """
    for living in (memory.stable, memory.canary.revision if memory.canary else None):
        if living is not None and living == goal:
            return living
    pool = seen.pools.get(goal.revision)
    if pool and pool.desired:
        return replace(goal, shared=pool.shared)
    if wanted.otherwise is None:
        return goal
    stable, own = memory.stable, f"p{goal.revision}"
    if stable is None or not stable.shared:
        return replace(goal, shared=own)
    mould = wanted.mould if goal == wanted.revision else seen.moulds.get(goal.revision)
    if stable.version != goal.version and mould == seen.moulds.get(stable.revision):
        return replace(goal, shared=stable.shared)
    return replace(goal, shared="" if own == stable.shared else own)


def fit(wanted: Wanted, memory: Memory, goal: Revision) -> Wanted:
    """
    Take the schedule that goes with where the next version lives.

    One that shares stable's pods needs all of them at every step, and no further ones, whatever
    the strategy says by now. Where InPlace cannot be, the pods are replaced.
    """
    tried = memory.canary.revision if memory.canary else goal
    if is_together(memory.stable, tried):
        loaded = tuple(replace(step, size=FULL) for step in wanted.steps)
        return replace(wanted, steps=loaded, surge=None, preview=False)
    if wanted.otherwise is None:
        return wanted
    return replace(wanted, steps=wanted.otherwise.steps, surge=wanted.otherwise.surge)


def is_together(one: Revision | None, other: Revision) -> bool:
    """
    Tell whether two revisions live in the same pods.
    """
    return one is not None and bool(one.shared) and one.shared == other.shared


def is_crowded(goal: Revision, seen: Snapshot) -> bool:
    """
    Tell whether two other versions are still in the pods that a revision is to share.
    """
    others = (
        name
        for name, pool in seen.pools.items()
        if goal.shared and pool.shared == goal.shared and name != goal.revision
    )
    return len(list(others)) > 1


def settle(decision: Decision, goal: Revision, before: Memory, seen: Snapshot) -> Decision:
    """
    Add to a decision in which pods its pools live.
    """
    homes = {name: pool.shared for name, pool in seen.pools.items()}
    for memory in (before, decision.memory):
        known = (memory.stable, memory.canary.revision if memory.canary else None, goal)
        homes |= {revision.revision: revision.shared for revision in known if revision}
    return replace(
        decision, shared={name: homes[name] for name in decision.pools if homes.get(name)}
    )
