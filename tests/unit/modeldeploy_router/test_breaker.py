"""
The breaker's decision, by literals.
"""

from dataclasses import replace

import pytest

from modeldeploy_router.core.breaker import UNTRIPPED, Breaker, guarded, watch
from modeldeploy_router.core.counters import Count, Key
from modeldeploy_router.core.routing import Pool, Routing

ROUTING = Routing(
    7, "m", {"a": Pool("r1", "m-r1", "1"), "b": Pool("r2", "m-r2", "2")}, "a", "b", 5000
)


def _counts(canary: Count, stable: Count) -> dict[Key, Count]:
    return {("b", "rest"): canary, ("a", "grpc"): stable}


def _watch(*looks: tuple[Count, Count], routing: Routing = ROUTING, up: bool = True) -> Breaker:
    breaker = UNTRIPPED
    for canary, stable in looks:
        breaker = watch(breaker, routing, _counts(canary, stable), stable_is_up=up)
    return breaker


GOOD = Count(1000, 0)


@pytest.mark.parametrize(
    ("canary", "stable", "trips"),
    [
        (Count(20, 20), Count(1020, 0), True),
        (Count(40, 20), Count(1040, 1), True),
        (Count(19, 19), Count(1020, 0), False),
        (Count(40, 19), Count(1040, 0), False),
        (Count(40, 40), Count(1040, 20), False),
        (Count(40, 40), GOOD, True),
    ],
)
def test_when_it_trips(canary: Count, stable: Count, trips: bool) -> None:  # noqa: FBT001  a table
    """
    At least twenty requests, half of them failed, and stable hardly any in the same time.
    """
    assert bool(_watch((Count(), GOOD), (canary, stable)).tripped) is trips


def test_only_the_latest_requests_count() -> None:
    """
    A long good life does not excuse a burst.
    """
    looks = [(Count(n * 100, 0), Count(n * 100, 0)) for n in range(10)]
    breaker = _watch(*looks, (Count(925, 25), Count(930, 0)))
    assert breaker.tripped == "25 of its last 25 requests failed"
    assert len(breaker.samples) == 2


def test_slow_traffic_is_seen_over_many_looks() -> None:
    """
    A canary that gets one request a look is out after twenty.
    """
    looks = [(Count(n, n), Count(100 + n, 0)) for n in range(20)]
    assert not _watch(*looks).tripped
    assert _watch(*looks, (Count(20, 20), Count(120, 0))).tripped


def test_it_stays_open_until_another_canary_comes() -> None:
    """
    Good requests cannot close it, since none are sent; another revision starts anew.
    """
    opened = _watch((Count(), GOOD), (Count(20, 20), GOOD))
    later = watch(opened, ROUTING, _counts(Count(500, 20), GOOD), stable_is_up=True)
    assert later == opened
    other = replace(ROUTING, slots={**ROUTING.slots, "b": Pool("r3", "m-r3", "3")})
    assert watch(opened, other, {}, stable_is_up=True).tripped == ""
    assert (
        watch(opened, replace(ROUTING, canary=None, weight=0), {}, stable_is_up=True) == UNTRIPPED
    )


def test_it_never_trips_while_nobody_else_could_answer() -> None:
    """
    Without a healthy stable server the canary's failures are all there is.
    """
    assert not _watch((Count(), GOOD), (Count(20, 20), GOOD), up=False).tripped


def test_a_tripped_canary_gets_nothing() -> None:
    """
    The roles stay, so that the operator sees what was taken out.
    """
    assert guarded(ROUTING, UNTRIPPED) == ROUTING
    assert guarded(ROUTING, Breaker("r2", tripped="x")) == replace(ROUTING, weight=0)
