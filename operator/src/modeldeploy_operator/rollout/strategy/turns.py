"""
Turns: how much of a step there is room for now, and how large both pools are meanwhile.

Where stable keeps all its pods (capacity Full) a step is one turn. Where pods are scarce, capacity
and traffic take turns: some canary pods start, the weight moves to what they carry, stable gives so
many pods up, and there is room for the next. The way back is the same in the other direction.
"""

from dataclasses import dataclass, replace

from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary
from modeldeploy_operator.rollout.snapshot import Pool, Snapshot
from modeldeploy_operator.rollout.strategy.steps import Step
from modeldeploy_operator.rollout.weights import canary_replicas, carried, stable_replicas

BACK = Step(0)
"""The goal of a canary that is taken back."""


@dataclass(frozen=True, slots=True)
class Turn:
    """
    The next turn towards a step.

    Attributes:
        weight: The canary's share at the end of the turn: the step's, or as near as there is room.
        need: The ready canary pods that the weight asks for.
        stable: The pods that the stable pool has meanwhile.
        canary: The pods that the canary has meanwhile.

    """

    weight: int
    need: int
    stable: int
    canary: int


@dataclass(frozen=True, slots=True)
class Both:
    """
    Both pools as they are seen.

    Attributes:
        stable: The stable pool.
        canary: The canary's pool.
        share: The canary's published share.
        confirmed: Whether every ready router has confirmed it.
        able: Stable's pods that are ready, and that every router finds healthy.

    """

    stable: Pool
    canary: Pool
    share: int
    confirmed: bool
    able: int


def look(stable: str, canary: str, seen: Snapshot) -> Both:
    """
    Look at both pools.
    """
    return Both(
        seen.pools.get(stable, Pool(0, 0)),
        seen.pools.get(canary, Pool(0, 0)),
        seen.routing.share(canary) if seen.routing else 0,
        seen.confirmed,
        min(seen.ready(stable), seen.up(stable)),
    )


def plan(wanted: Wanted, step: Step, both: Both, *, shrunk: bool) -> Turn:
    """
    Plan the next turn towards a step.
    """
    if step.weight < both.share:
        return _back(wanted, step, both, shrunk=shrunk)
    size, need = wanted.replicas, step.pods(wanted.replicas)
    stable = _stable_size(wanted, both, both.share, both.share)
    if wanted.surge is None:
        return Turn(step.weight, need, stable, _kept(both, need))
    has = min(both.canary.desired, canary_replicas(both.share, size)) if both.share else 0
    room = size + wanted.surge - max(both.stable.desired, stable_replicas(both.share, size))
    pods = max(0, has, min(need, room))
    weight = max(both.share, min(step.weight, carried(pods, size)))
    if weight < step.weight:
        need = max(1, pods)
    return Turn(weight, need, stable, _kept(both, pods))


def relieve(wanted: Wanted, turn: Turn, both: Both) -> Turn:
    """
    Give a canary that answers everything all the pods that there is room for.
    """
    most = wanted.replicas
    if wanted.surge is not None:
        most = min(most, most + wanted.surge - max(both.stable.desired, turn.stable))
    return replace(turn, canary=max(turn.canary, most))


def _back(wanted: Wanted, step: Step, both: Both, *, shrunk: bool) -> Turn:
    """
    Plan a turn towards a smaller share: to what the stable pods carry that are there again.
    """
    size, weight, pods = wanted.replicas, step.weight, both.canary.desired
    if shrunk:
        weight = max(weight, min(both.share, carried(max(0, size - both.able), size)))
        pods = min(pods, canary_replicas(both.share, size))
    stable = _stable_size(wanted, both, weight, step.weight)
    return Turn(weight, step.pods(size), stable, _kept(both, pods))


def _kept(both: Both, pods: int) -> int:
    """
    Size the canary: it gives pods up only once its share is confirmed.
    """
    return pods if both.confirmed else max(pods, both.canary.desired)


def _stable_size(wanted: Wanted, both: Both, share: int, goal: int) -> int:
    """
    Size the stable pool: it gives pods up only where they are scarce, and for a confirmed share.

    Args:
        wanted: What is wanted.
        both: What is seen.
        share: The canary's share that it must stand beside now.
        goal: The share that it must be able to stand beside soon.

    """
    had, size = both.stable.desired, wanted.replicas
    if wanted.surge is None:
        return max(had, size)
    kept = min(had, stable_replicas(share, size)) if both.confirmed else had
    room = size + wanted.surge - both.canary.desired
    return max(kept, min(stable_replicas(goal, size), room))


def is_shrunk(wanted: Wanted, canary: Canary, turn: Turn, both: Both) -> bool:
    """
    Tell whether stable lacks pods that it gave up for the canary.
    """
    if turn.stable < wanted.replicas:
        return True
    return canary.shrunk and both.able < wanted.replicas
