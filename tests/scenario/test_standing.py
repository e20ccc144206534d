"""
Versions that are served for good beside stable and canary, while anything else goes on.
"""

import os
import random
from dataclasses import replace
from typing import Any

import pytest

from modeldeploy_operator.rollout.memory import Revision, Standing
from modeldeploy_operator.rollout.snapshot import Failure
from modeldeploy_operator.rollout.states import State
from testkit.invariants import Watch
from testkit.turn import BrokenInvariantError
from testkit.world import Nature, World, a_world, revision, steps_of

ROLLOUTS = int(os.environ.get("MODELDEPLOY_ROLLOUTS", "2000")) // 4
BATCHES = 5
EXTRA = Standing(revision("v7"), 2, ("experiment",), 1000)


def settle(world: World, watch: Watch) -> None:
    """
    Let turns pass until nothing is under way.
    """
    for _ in range(100):
        watch.turn()
        assert world.decision
        if world.decision.state is State.STEADY and world.decision.look_again_at is None:
            return
    raise AssertionError(f"no rest: {world.decision}")


def settled(**wants: Any) -> tuple[World, Watch]:
    """
    Build a world in which version 1 is stable.
    """
    world = a_world(steps=steps_of(50))
    world.want(**wants)
    watch = Watch(world)
    settle(world, watch)
    return world, watch


def test_a_standing_version_gets_its_share_when_its_pods_are_ready() -> None:
    """
    Pods first, then the share; pins at once; deleting the entry goes the other way round.
    """
    world, watch = settled()
    world.natures["v7"] = Nature(5)
    world.want(also=(EXTRA,))
    watch.turn()
    assert world.routing
    assert (world.routing.versions, world.routing.shares) == ({"v7": "v7"}, {})
    assert world.pools["v7"].desired == 2
    settle(world, watch)
    assert world.routing.shares == {"v7": 1000}
    assert world.routing.labels == {"experiment": "v7"}
    for router in world.routers:
        router.lag = 3
    world.want(also=())
    watch.turn()
    assert world.routing.standing == frozenset()
    assert "v7" in world.pools
    settle(world, watch)
    assert set(world.pools) == {"v1"}


def test_a_share_leaves_a_dead_pool_and_comes_back() -> None:
    """
    While no pod is ready stable and canary divide everything.
    """
    world, watch = settled(also=(EXTRA,))
    world.pools["v7"].ages = [-5, -5]
    watch.turn()
    assert world.routing
    assert world.routing.shares == {}
    assert world.routing.versions == {"v7": "v7"}
    settle(world, watch)
    assert world.routing.shares == {"v7": 1000}


def test_an_edit_of_the_pods_hands_over_when_the_new_ones_are_ready() -> None:
    """
    The same version with other resources: the old pool answers until the new one can.
    """
    world, watch = settled(also=(EXTRA,))
    world.natures["v7b"] = Nature(6)
    world.want(also=(replace(EXTRA, revision=Revision("v7b", "v7")),))
    for _ in range(4):
        watch.turn()
        assert world.routing
        assert world.routing.shares == {"v7": 1000}
        assert world.routing.labels == {"experiment": "v7"}
    settle(world, watch)
    assert world.routing
    assert world.routing.shares == {"v7b": 1000}
    assert set(world.pools) == {"v1", "v7b"}


def test_promoted_predecessors_stay_as_long_as_they_are_to() -> None:
    """
    With keepVersions 1 the version before stays served, without a share; the one before it goes.
    """
    world, watch = settled(keep=1)
    world.want("v2")
    settle(world, watch)
    assert world.routing
    assert (world.routing.stable, world.routing.versions) == ("v2", {"v1": "v1"})
    assert {name: pods.desired for name, pods in world.pools.items()} == {"v1": 2, "v2": 2}
    world.want("v3")
    settle(world, watch)
    assert (world.routing.stable, world.routing.versions) == ("v3", {"v2": "v2"})
    assert set(world.pools) == {"v2", "v3"}
    world.want(action="undo@v2#1")
    settle(world, watch)
    assert (world.routing.stable, world.routing.versions) == ("v2", {"v3": "v3"})
    world.want(keep=0)
    settle(world, watch)
    assert set(world.pools) == {"v2"}
    assert world.memory.predecessors == ()


def test_a_standing_version_may_become_the_wanted_one() -> None:
    """
    It goes through the steps with the pods that it has, and stays when it is not wanted any more.
    """
    world, watch = settled(also=(EXTRA,))
    world.want("v7")
    settle(world, watch)
    assert world.routing
    assert (world.routing.stable, world.routing.shares) == ("v7", {})
    assert world.routing.labels == {"experiment": "v7"}
    world.want("v1")
    settle(world, watch)
    assert (world.routing.stable, world.routing.shares) == ("v1", {"v7": 1000})


def test_a_standing_version_that_cannot_be_served_holds_nothing_up() -> None:
    """
    It is told of, the rollout goes on, and nobody looks again and again.
    """
    world, watch = settled()
    lost = Failure("VersionNotFound", "There is no version 7.", permanent=True)
    world.natures["v7"] = Nature(None, lost)
    world.want("v2", also=(EXTRA,))
    settle(world, watch)
    assert world.memory.stable == revision("v2")
    assert world.decision
    assert world.decision.notes[0].message == "Version v7: There is no version 7."


def _wish(world: World, chance: random.Random) -> None:
    kind = chance.random()
    if kind < 0.3:
        world.want(chance.choice(["v1", "v2", "v3", "v7"]))
    elif kind < 0.4:
        world.want(keep=chance.choice([0, 1, 3]))
    elif kind < 0.45:
        world.want(replicas=chance.choice([0, 1, 3]))
    elif kind < 0.5:
        world.want(action=f"{chance.choice(['abort', 'undo', 'retry'])}@v2#{chance.random()}")
    else:
        world.want(also=tuple(_also(chance)))


def _also(chance: random.Random) -> list[Standing]:
    numbers = chance.sample(range(1, 12), chance.randint(0, 5))
    return [
        Standing(
            Revision(f"v{n}{chance.choice(['', '', 'b'])}", f"v{n}"),
            chance.choice([1, 2]),
            (f"label-{n}",),
            chance.choice([0, 500, 2000]),
        )
        for n in numbers
    ]


def _simulate(seed: int) -> None:
    chance = random.Random(seed)
    world = a_world(replicas=chance.choice([1, 3]), steps=steps_of(10, 50))
    world.natures = {f"v{n}": Nature(chance.randint(0, 4)) for n in range(2, 12)}
    watch = Watch(world)
    for _ in range(60):
        kind = chance.random()
        if kind < 0.15:
            _wish(world, chance)
        elif kind < 0.25 and world.pools:
            pods = world.pools[chance.choice(sorted(world.pools))]
            pods.ages = [0 if chance.random() < 0.7 else age for age in pods.ages]
        elif kind < 0.35:
            chance.choice(world.routers).lag = chance.randint(0, 4)
        world.dies_after = chance.choice([None] * 12 + [0, 1, 2, 3])
        watch.turn(act=chance.random() < 0.95)
    world.dies_after = None
    settle(world, watch)
    writes = world.writes
    watch.turn()
    assert world.writes == writes, "an unchanged world was written to"
    assert world.routing
    roles = {world.routing.stable}
    assert set(world.pools) == roles | world.routing.standing
    for entry in world.wanted.also:
        name = entry.revision.revision
        assert world.routing.versions[entry.revision.version] == name
        assert world.routing.labels[entry.labels[0]] == name
        assert world.routing.shares.get(name, 0) == (0 if name in roles else entry.weight)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_any_order_of_events_keeps_the_order_of_effects(batch: int) -> None:
    """
    Whatever is wanted in whatever order: pins and shares lead to pods that are there, to the end.
    """
    for seed in range(batch, ROLLOUTS, BATCHES):
        try:
            _simulate(seed)
        except (AssertionError, BrokenInvariantError, ValueError) as broken:
            raise AssertionError(f"rollout {seed}: {broken}") from broken
