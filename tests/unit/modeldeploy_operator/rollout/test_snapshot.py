"""
The snapshot answers what decisions ask: who is ready, who is up, what is confirmed.
"""

from modeldeploy_operator.rollout.snapshot import Pool, Router, Routing, Snapshot

ROUTING = Routing({"a": "v1", "b": "v2"}, "v1", "v2", 1_000)


def test_shares_belong_to_roles() -> None:
    """
    The canary has its weight, stable the rest, and a pool without a role nothing.
    """
    assert [ROUTING.share(name) for name in ("v1", "v2", "v3")] == [9_000, 1_000, 0]
    assert Routing({"a": "v1"}, "v1").share("v1") == 10_000


def test_one_late_router_is_enough_to_be_unconfirmed() -> None:
    """
    A configuration is confirmed once every ready router has applied just it, and one is there.

    A router that is ahead has heard of a configuration that this look has not seen yet.
    """
    assert Snapshot(generation=2, routers=(Router(2), Router(2))).confirmed
    assert not Snapshot(generation=2, routers=(Router(2), Router(3))).confirmed
    assert not Snapshot(generation=2, routers=(Router(2), Router(1))).confirmed
    assert not Snapshot(generation=0, routers=()).confirmed


def test_effective_compares_roles_and_not_slots() -> None:
    """
    A configuration is effective when the confirmed one gives the traffic to the same revisions.
    """
    seen = Snapshot(routing=ROUTING, generation=1, routers=(Router(1),))
    assert seen.effective(Routing({"c": "v1", "d": "v2"}, "v1", "v2", 1_000))
    assert not seen.effective(Routing(ROUTING.slots, "v1", "v2", 2_000))
    assert not Snapshot(routers=(Router(1),)).effective(ROUTING)


def test_the_slowest_router_counts() -> None:
    """
    An endpoint is up when every ready router finds it healthy; without routers nothing is.
    """
    seen = Snapshot({"v1": Pool(3, 2)}, routers=(Router(1, {"v1": 2}), Router(1, {"v1": 1})))
    assert seen.up("v1") == 1
    assert seen.up("v2") == 0
    assert Snapshot().up("v1") == 0
    assert (seen.ready("v1"), seen.ready("v2")) == (2, 0)
