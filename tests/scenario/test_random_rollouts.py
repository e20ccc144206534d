"""
Random rollouts: anything may happen in any order, and the invariants hold at every turn.
"""

import os
from collections.abc import Callable

import pytest

from modeldeploy_operator.rollout.states import State
from testkit.invariants import Watch
from testkit.scripts import Script, cut_down, draw, happen, tell
from testkit.world import Nature, World

ROLLOUTS = int(os.environ.get("MODELDEPLOY_ROLLOUTS", "2000"))
BATCHES = 20
LONGEST = 400


def _play(script: Script) -> World:
    world = script.world()
    watch = Watch(world)
    for event in script.events:
        watch.turn(act=happen(world, event))
    # Enough that stable's part of 1 % is compared often enough, too.
    world.demand = max(world.demand, 100_000)
    world.others.mended = True
    world.want(paused=False)
    _settle(world, watch)
    return world


def _settle(world: World, watch: Watch) -> None:
    """
    Left alone, every rollout comes to rest, and then nothing is written any more.
    """
    for _ in range(LONGEST):
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
        # What never comes to rest goes on being judged, and that is remembered.
        return
    writes = world.writes
    for _ in range(3):
        watch.turn()
    assert world.writes == writes, "an unchanged world was written to"


def _wrong(script: Script) -> str | None:
    """
    Play a script and return what went wrong.
    """
    try:
        _play(script)
    except AssertionError as error:
        return str(error)
    return None


@pytest.mark.parametrize("batch", range(BATCHES))
def test_any_order_of_events_keeps_the_invariants(batch: int) -> None:
    """
    Whatever happens in whatever order, the order of effects is kept and the rollout comes to rest.
    """
    for seed in range(batch, ROLLOUTS, BATCHES):
        script = draw(seed)
        wrong = _wrong(script)
        if wrong is None:
            continue
        shortest = cut_down(script, _goes_wrong_as(wrong))
        told = tell(shortest, rest=10)
        raise AssertionError(f"rollout {seed}: {wrong}\n\n{told}\n{_wrong(shortest)}")


def _goes_wrong_as(wrong: str) -> Callable[[Script], bool]:
    kind = wrong.split(":", maxsplit=1)[0]
    return lambda script: (_wrong(script) or "").startswith(kind)
