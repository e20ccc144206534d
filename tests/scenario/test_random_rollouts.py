"""
Random rollouts: anything may happen in any order, and the invariants hold at every turn.
"""

import os
import random

import pytest

from modeldeploy_operator.analysis.checks import Check, Criteria, OnNoData
from modeldeploy_operator.analysis.kinds import ErrorRate
from modeldeploy_operator.rollout.snapshot import Failure
from modeldeploy_operator.rollout.states import State
from testkit.invariants import BrokenInvariantError, Watch
from testkit.world import Nature, World, a_world, steps_of

ROLLOUTS = int(os.environ.get("MODELDEPLOY_ROLLOUTS", "2000"))
BATCHES = 20
NAMES = ["v1", "v2", "v3", "v4"]


def _nature(chance: random.Random) -> Nature:
    kind = chance.random()
    if kind < 0.1:
        return Nature(None, Failure("VersionNotFound", "no such version", permanent=True))
    if kind < 0.2:
        return Nature(None, Failure("ImagePullBackOff", "cannot pull", permanent=False))
    if kind < 0.3:
        return Nature(chance.randint(0, 4), failing=chance.choice([0.02, 0.5, 1.0]))
    if kind < 0.45:
        failure = Failure("Unschedulable", "no node takes it", permanent=chance.random() < 0.5)
        return Nature(chance.randint(0, 4), failure, most=1)
    return Nature(chance.randint(0, 4))


def _criteria(chance: random.Random) -> Criteria:
    checks = (Check("errors", ErrorRate(max=0.05, max_increase=0.01)),)
    return Criteria(
        checks if chance.random() < 0.7 else (),
        interval=chance.choice([1, 3]),
        min_requests=chance.choice([1, 50]),
        on_no_data=chance.choice(list(OnNoData)),
        pauses=chance.random() < 0.2,
    )


def _order(world: World, chance: random.Random) -> str:
    verb = chance.choice(["approve", "promote", "promote-full", "abort", "retry", "undo"])
    named = chance.choice([*NAMES, "0"])
    canary = world.memory.canary
    if canary and chance.random() < 0.8:
        named = canary.revision.revision
    return f"{verb}@{named}#{chance.random()}"


def _wish(world: World, chance: random.Random, kind: float) -> None:
    """
    Let a person want something else.
    """
    if kind < 0.04:
        world.want(chance.choice(NAMES))
    elif kind < 0.06:
        world.want(replicas=chance.choice([0, 1, 2, 4]))
    elif kind < 0.08:
        world.want(
            steps=steps_of(*sorted(chance.sample(range(1, 100), 2)), hold=chance.random() * 4)
        )
    elif kind < 0.09:
        world.want(paused=not world.wanted.paused)
    elif kind < 0.10:
        world.demand = chance.choice([0, 10, 1000])
    else:
        world.want(action=_order(world, chance))


def _event(world: World, chance: random.Random) -> bool:
    """
    Let one thing happen; return whether the operator may act in this turn.
    """
    kind = chance.random()
    if kind < 0.14:
        _wish(world, chance, kind)
    elif kind < 0.20 and world.pools:
        pods = world.pools[chance.choice(sorted(world.pools))]
        pods.ages = [0 if chance.random() < 0.7 else age for age in pods.ages]
    elif kind < 0.28:
        chance.choice(world.routers).lag = chance.randint(0, 4)
    elif kind < 0.32:
        return False
    return True


def _simulate(seed: int) -> None:
    chance = random.Random(seed)
    world = a_world(replicas=chance.choice([1, 2, 4]))
    world.natures = {name: _nature(chance) for name in NAMES}
    world.natures["v1"] = Nature(1)
    world.want(criteria=_criteria(chance))
    world.chaos = chance
    watch = Watch(world)
    for _ in range(chance.randint(20, 80)):
        watch.turn(act=_event(world, chance))
    world.chaos = None
    world.demand = max(world.demand, 100)
    world.want(paused=False)
    _settles(world, watch)


def _settles(world: World, watch: Watch) -> None:
    """
    Left alone, every rollout comes to rest, and then nothing is written any more.
    """
    for _ in range(200):
        watch.turn()
        decision = world.decision
        assert decision is not None
        if decision.state is State.STEADY and decision.look_again_at is None:
            break
        canary = world.memory.canary
        if canary and decision.reason == "CheckFailed":
            world.want(action=f"abort@{canary.revision.revision}#{world.now}")
        if canary and decision.reason == "AwaitingApproval":
            world.want(action=f"approve@{canary.revision.revision}/{canary.step + 1}#{world.now}")
    else:
        assert decision is not None
        first_never_answers = world.memory.stable is None or decision.stalled
        stable = world.memory.stable
        nature = world.nature(stable.revision) if stable else Nature()
        broken = nature.ready_after is None or nature.most is not None
        assert first_never_answers or broken, f"no rest: {decision}"
    writes = world.writes
    for _ in range(3):
        watch.turn()
    assert world.writes == writes, "an unchanged world was written to"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_any_order_of_events_keeps_the_invariants(batch: int) -> None:
    """
    Whatever happens in whatever order, the order of effects is kept and the rollout comes to rest.
    """
    for seed in range(batch, ROLLOUTS, BATCHES):
        try:
            _simulate(seed)
        except (AssertionError, BrokenInvariantError) as broken:
            raise AssertionError(f"rollout {seed}: {broken}") from broken
