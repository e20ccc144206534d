"""
Attempts and failures belong to revisions, while HAProxy counts for backends.
"""

import json

from modeldeploy_router.core.counters import Count, Ledger, count_slots
from modeldeploy_router.core.routing import Routing, parse_routing
from testkit.routers import EXAMPLE


def rows(backend: str, whole: dict[str, int], passed: dict[str, int]) -> list[dict[str, str]]:
    """
    Build the two rows of `show stat` that count.
    """
    return [
        {"pxname": backend, "svname": name} | {k: str(v) for k, v in counts.items()}
        for name, counts in (("BACKEND", whole), ("fallback", passed))
    ]


def test_retries_count_against_the_slot_that_failed() -> None:
    """
    100 requests, 5 answered 5xx, 3 tried again of which 2 went on to stable, 1 broken off.
    """
    whole = {"req_tot": 100, "hrsp_5xx": 5, "wretr": 2, "wredis": 1, "srv_abrt": 1}
    table = rows("rest_b", whole, {"req_tot": 2})
    assert count_slots(table, {}) == {("b", "rest"): Count(requests=101, failures=9)}


def test_what_stable_failed_is_not_the_slots() -> None:
    """
    A request that passed on to stable and failed there is not this slot's failure.
    """
    table = rows("rest_b", {"req_tot": 10, "hrsp_5xx": 4}, {"req_tot": 4, "hrsp_5xx": 4})
    assert count_slots(table, {}) == {("b", "rest"): Count(requests=6, failures=0)}


def test_grpc_failures_come_from_their_table() -> None:
    """
    HAProxy counts a failed call as 2xx, so its own table counts it.
    """
    table = rows("grpc_a", {"req_tot": 10}, {"req_tot": 0})
    assert count_slots(table, {"grpc_a": 7}) == {("a", "grpc"): Count(10, 7)}


def routing(**revisions: str) -> Routing:
    """
    Build a routing with these revisions in these slots.
    """
    slots = {s: {"revision": r, "service": r, "version": "1"} for s, r in revisions.items()}
    return parse_routing(json.dumps(EXAMPLE | {"slots": slots, "roles": {}}))


def test_a_slot_that_changes_hands() -> None:
    """
    What a slot counted before its revision came is booked to the one before.
    """
    ledger = Ledger()
    one, two = ("one", "rest"), ("two", "rest")
    ledger.change(routing(a="one"), {})
    counts = {("a", "rest"): Count(10, 1)}
    assert ledger.totals(counts)[one] == Count(10, 1)
    ledger.change(routing(a="two"), counts)
    counts = {("a", "rest"): Count(15, 1)}
    assert ledger.totals(counts)[one] == Count(10, 1)
    assert ledger.totals(counts)[two] == Count(5, 0)
    ledger.change(routing(b="one"), counts)
    counts = {("a", "rest"): Count(16, 2), ("b", "rest"): Count(2, 2)}
    assert ledger.totals(counts)[one] == Count(12, 3)
    assert ledger.totals(counts)[two] == Count(5, 0)
    ledger.change(routing(b="one"), counts)
    assert ledger.totals(counts)[one] == Count(12, 3)
