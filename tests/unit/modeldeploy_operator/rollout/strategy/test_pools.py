"""
Pools keep their slots, go only when no router sends to them, and stable never shrinks in a rollout.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory
from modeldeploy_operator.rollout.snapshot import Pool, Router, Routing, Snapshot
from modeldeploy_operator.rollout.strategy import pools
from testkit.objects import NOW
from testkit.world import revision, steps_of

CANARY = Canary(revision("v2"), 0, "", NOW)
BOTH = Memory(stable=revision("v1"), canary=CANARY)
WANTED = Wanted(revision("v2"), 2, steps_of())


def _seen(routing: Routing | None, generations: tuple[int, ...] = (1,), **sizes: int) -> Snapshot:
    found = {name: Pool(size, size) for name, size in sizes.items()}
    return Snapshot(found, routing, 1, tuple(Router(g) for g in generations))


def test_a_pool_lingers_until_every_router_has_let_go() -> None:
    """
    A pool without a role stays while a router has not confirmed the configuration without it.
    """
    without = Routing({"a": "v1", "b": "v0"}, "v1")
    memory = Memory(stable=revision("v1"))
    assert pools.lingering(memory, _seen(without, (1, 0), v0=3, v1=2)) == {"v0": 3}
    assert pools.lingering(memory, _seen(without, (1, 1), v0=3, v1=2)) == {}


def test_a_pool_with_a_published_role_lingers() -> None:
    """
    A pool that the published configuration still names is not removed, whatever the memory says.
    """
    routing = Routing({"a": "v0", "b": "v1"}, "v0", "v1", 100)
    assert pools.lingering(Memory(stable=revision("v1")), _seen(routing, v0=1)) == {"v0": 1}


def test_without_a_routing_configuration_nothing_lingers() -> None:
    """
    Where nothing was published no router sends anything.
    """
    assert pools.lingering(BOTH, _seen(None, v0=1, v1=1)) == {}


def test_more_pools_than_slots_are_an_error() -> None:
    """
    The routers have twelve slots; one more pool is refused loudly.
    """
    with pytest.raises(ValueError, match="13 pools do not fit the routers' 12 slots"):
        pools.assign([f"v{number}" for number in range(13)], None)


NAMES = st.lists(st.sampled_from(["v1", "v2", "v3", "v4"]), min_size=1, unique=True)


@given(NAMES, NAMES)
def test_whoever_had_a_slot_keeps_it(before: list[str], after: list[str]) -> None:
    """
    Every revision has exactly one slot, and one that had a slot keeps it.
    """
    had = pools.assign(before, None)
    has = pools.assign(after, Routing(had, before[0]))
    assert sorted(has.values()) == sorted(after)
    assert all(has[slot] == name for slot, name in had.items() if name in after)


def test_without_a_canary_the_weight_is_nothing() -> None:
    """
    A weight belongs to a canary; without one it is 0.
    """
    assert pools.route("v1", None, 500, [], None) == Routing({"a": "v1"}, "v1")
    assert pools.route("v1", "v2", 500, ["v0"], None) == Routing(
        {"a": "v1", "b": "v2", "c": "v0"}, "v1", "v2", 500
    )
