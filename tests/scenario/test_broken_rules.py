"""
Each rule of the order of effects, broken on purpose, is caught, cut down and told.
"""

from dataclasses import replace

import pytest

from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.snapshot import Snapshot
from modeldeploy_operator.rollout.states import State
from testkit import invariants
from testkit.invariants import Watch
from testkit.scripts import NOTHING, Bend, Script, cut_down, draw, happen, tell
from testkit.turn import BrokenInvariantError

LOOKED_FOR = 400
REST = 15


def _routed(decision: Decision, **changes: object) -> Decision:
    routing = decision.routing
    if routing is None:
        return decision
    changed = replace(routing, **changes)  # type: ignore[arg-type]  # by name
    return replace(decision, routing=changed)


def weight_first(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Give the canary its weight while its pods are still made.
    """
    canary = decision.memory.canary
    preparing = canary is not None and decision.state is State.PREPARING
    return _routed(decision, weight=canary.step_weight) if canary and preparing else decision


def pods_first(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Remove the canary's pods in the pass that takes its weight.
    """
    canary = decision.memory.canary
    if canary is None or decision.state is not State.WITHDRAWING:
        return decision
    pools = {k: v for k, v in decision.pools.items() if k != canary.revision.revision}
    return replace(decision, pools=pools)


def swapped_slots(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Let stable and canary change places in the routers once the canary is promoted.
    """
    if decision.routing is None or not any(n.reason == "Promoted" for n in decision.notes):
        return decision
    slots = decision.routing.slots
    return _routed(decision, slots=dict(zip(slots, reversed(list(slots.values())), strict=True)))


def weight_back_first(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Give a stable pool that had shrunk everything at once.
    """
    if decision.state is not State.WITHDRAWING:
        return decision
    return _routed(decision, weight=0, canary=None)


def promoted_too_soon(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Make a canary stable as soon as it holds any share.
    """
    canary = decision.memory.canary
    if canary is None or decision.state is not State.HOLDING or decision.routing is None:
        return decision
    memory = replace(decision.memory, stable=canary.revision, canary=None)
    decision = _routed(decision, stable=canary.revision.revision, canary=None, weight=0)
    return replace(decision, memory=memory)


def restarted_at_promotion(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Make a canary's pods anew when it is promoted.
    """
    stable = decision.memory.stable
    if stable is None or not any(note.reason == "Promoted" for note in decision.notes):
        return decision
    pools = {k: v for k, v in decision.pools.items() if k != stable.revision}
    return replace(decision, pools=pools)


def weight_kept_without_pods(decision: Decision, seen: Snapshot) -> Decision:
    """
    Leave a canary its weight when the last of its pods has gone.
    """
    routing, canary = seen.routing, decision.memory.canary
    if routing is None or canary is None or seen.ready(canary.revision.revision):
        return decision
    return replace(decision, routing=routing)


def more_than_everything(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Let the weights add up to more than there is.
    """
    weight = decision.routing.weight if decision.routing else 0
    return _routed(decision, weight=weight * 21 // 10) if weight else decision


def weight_for_a_stranger(decision: Decision, seen: Snapshot) -> Decision:
    """
    Publish a canary's pool and its weight in one configuration.
    """
    canary = decision.memory.canary
    slots = seen.routing.slots.values() if seen.routing else ()
    if canary is None or canary.withdrawal or canary.revision.revision in slots:
        return decision
    return _routed(decision, weight=100)


def weight_by_pods(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Take the ratio of pods for a share of requests.
    """
    canary = decision.memory.canary
    if canary is None or decision.state is not State.HOLDING:
        return decision
    pods = decision.pools[canary.revision.revision]
    return _routed(decision, weight=10_000 * pods // sum(decision.pools.values()))


BROKEN: list[tuple[str, Bend]] = [
    ("capacity_before_traffic", weight_first),
    ("traffic_before_removal", pods_first),
    ("pools_keep_their_slots", swapped_slots),
    ("stable_back_before_weight", weight_back_first),
    ("promoted_at_full_size", promoted_too_soon),
    ("promotion_restarts_nothing", restarted_at_promotion),
    ("no_traffic_without_pods", weight_kept_without_pods),
    ("shares_are_all_the_traffic", more_than_everything),
    ("known_before_weighted", weight_for_a_stranger),
    ("shares_are_of_requests", weight_by_pods),
]


def a_pod_for_each_version(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Ask for one more of the pods that both versions share.
    """
    canary = decision.memory.canary
    if canary is None or canary.revision.revision not in decision.shared:
        return decision
    return replace(decision, pools={name: size + 1 for name, size in decision.pools.items()})


def pods_of_its_own(decision: Decision, _seen: Snapshot) -> Decision:
    """
    Give a version that has traffic in shared pods pods of its own.
    """
    return replace(decision, shared={}) if decision.state is State.HOLDING else decision


FURTHER: list[tuple[str, Bend]] = [
    ("versions_change_inside_the_pods", a_pod_for_each_version),
    ("pods_stay_in_place", pods_of_its_own),
]


def _broken(script: Script) -> frozenset[str]:
    """
    Play a script and return the rules that it breaks.
    """
    world = script.world()
    watch = Watch(world)
    try:
        for event in (*script.events, *[NOTHING] * REST):
            watch.turn(act=happen(world, event))
    except BrokenInvariantError as error:
        return error.names
    return frozenset()


def test_each_of_the_ten_rules_is_broken_by_one_of_these() -> None:
    """
    No rule is without a proof that it can be broken.
    """
    assert [rule for rule, _ in BROKEN] == [rule.__name__ for rule in invariants.ORDER]


@pytest.mark.parametrize(
    ("rule", "bend"), [*BROKEN, *FURTHER], ids=[rule for rule, _ in (*BROKEN, *FURTHER)]
)
def test_a_rule_that_is_broken_on_purpose_is_caught_and_told(rule: str, bend: Bend) -> None:
    """
    Some random rollout breaks it; the shortest one that does is told turn by turn.
    """
    scripts = (replace(draw(seed), bend=bend) for seed in range(LOOKED_FOR))
    found = next(script for script in scripts if rule in _broken(script))
    shortest = cut_down(found, lambda script: rule in _broken(script))
    told = tell(shortest, rest=REST)
    print(told)  # noqa: T201 - `pytest -s` shows what a counter-example looks like
    last = told.rstrip().splitlines()[-1]
    assert last.startswith("* broken: ")
    assert f"{rule}: " in last
    happened = [event for event in shortest.events if event != NOTHING]
    assert 1 <= len(happened) <= 4
    assert not _broken(replace(shortest, bend=None)), "the rollout is wrong by itself"
