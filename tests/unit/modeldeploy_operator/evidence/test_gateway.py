"""
What Gateways say of the routes becomes a condition, and without routers the data path itself.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from modeldeploy_operator.evidence.gateway import DELAY, carried, is_changing
from modeldeploy_operator.manifests.entrance.gateway import build_routes
from modeldeploy_operator.manifests.names import FIELD_MANAGER
from modeldeploy_operator.resource.spec import Traffic
from modeldeploy_operator.rollout.snapshot import Pool, Router, Routing, Snapshot
from testkit.objects import NOW, OWNER

GATEWAY = {"parentRefs": [{"name": "public"}], "hostnames": ["mnist.example.com"]}
BEHIND = Traffic.model_validate({"provider": "Gateway", "gateway": GATEWAY})
IN_FRONT = Traffic.model_validate({"gateway": GATEWAY})
ROUTING = Routing({"a": "r1", "b": "r2"}, "r1", "r2", 1_001)
POOLS = {"r1": Pool(2, 2), "r2": Pool(1, 1)}
SEEN = Snapshot(pools=POOLS, routing=ROUTING, generation=7)
OURS = Snapshot(pools=POOLS, routing=ROUTING, generation=7, routers=(Router(7, {"r1": 2}),))
LONG_AGO = NOW - timedelta(hours=1)


def pods(ready: datetime, count: int = 1) -> list[dict[str, Any]]:
    """
    Build pods that are ready since then.
    """
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": ready.isoformat()}
    return [{"metadata": {}, "status": {"conditions": [condition]}}] * count


PODS = {"r1": pods(LONG_AGO, 2), "r2": pods(LONG_AGO)}


def condition(kind: str, status: str = "True", observed: int = 3, **more: str) -> dict[str, Any]:
    """
    Build a condition of a route's parent.
    """
    return {"type": kind, "status": status, "observedGeneration": observed, **more}


def found(
    *conditions: dict[str, Any], generation: int = 7, written: Any = LONG_AGO
) -> dict[tuple[str, str], dict[str, Any]]:
    """
    Build both routes as the API server returns them; without conditions nobody looked at them.
    """
    assert BEHIND.gateway
    children = {}
    for route in build_routes(OWNER, BEHIND.gateway, ROUTING, generation):
        route["metadata"] |= {
            "generation": 3,
            "creationTimestamp": LONG_AGO.isoformat(),
            "managedFields": [
                {"manager": FIELD_MANAGER, "time": written.isoformat()},
                {"manager": "traefik", "time": NOW.isoformat(), "subresource": "status"},
            ],
        }
        parent = {"parentRef": {"name": "public"}, "conditions": list(conditions)}
        route["status"] = {"parents": [parent] if conditions else []}
        children[(route["kind"], "mnist")] = route
    return children


GOOD = (condition("Accepted"), condition("ResolvedRefs"))


def test_nothing_changes_where_no_gateway_was_asked_for() -> None:
    """
    The snapshot stays as it is.
    """
    assert carried(OURS, OWNER, Traffic(), ({}, False, {}), NOW) == OURS


def test_a_cluster_without_the_gateway_api_is_told_of_and_nothing_else_breaks() -> None:
    """
    The routers go on; the condition says what is missing in one sentence.
    """
    seen = carried(OURS, OWNER, IN_FRONT, ({}, False, {}), NOW)
    assert seen.routers == OURS.routers
    assert seen.gateway
    assert seen.gateway.code == "GatewayAPIMissing"
    behind = carried(SEEN, OWNER, BEHIND, ({}, False, {}), NOW)
    assert behind.routers == ()
    assert behind.router_failure == behind.gateway == seen.gateway


def test_an_accepted_route_is_a_router_that_has_confirmed() -> None:
    """
    Both routes carry the published configuration, and it was written long enough ago.
    """
    seen = carried(SEEN, OWNER, BEHIND, (found(*GOOD), True, PODS), NOW)
    assert seen.effective(ROUTING)
    assert seen.up("r1") == 2
    assert seen.gateway
    assert seen.gateway.code == "RoutesAccepted"


def test_a_weight_is_effective_only_a_moment_after_it_was_written() -> None:
    """
    A Gateway says what it accepts, not when its data path follows; its status is no write of ours.
    """
    children = found(*GOOD, written=NOW)
    for later, effective in ((timedelta(0), False), (DELAY + timedelta(seconds=1), True)):
        seen = carried(SEEN, OWNER, BEHIND, (children, True, PODS), NOW + later)
        assert seen.effective(ROUTING) is effective
        assert seen.routers


def test_a_pod_counts_once_the_gateway_has_had_the_time_to_learn_of_it() -> None:
    """
    Until then a Gateway would answer that it has no server, though the pod is ready.
    """
    young = {"r1": [*pods(LONG_AGO), *pods(NOW)], "r2": pods(NOW)}
    for later, known in ((timedelta(0), (1, 0)), (DELAY, (2, 1))):
        seen = carried(SEEN, OWNER, BEHIND, (found(*GOOD), True, young), NOW + later)
        assert (seen.up("r1"), seen.up("r2")) == known
        assert seen.patience == timedelta(seconds=1)


def test_routes_of_an_earlier_configuration_confirm_nothing() -> None:
    """
    What is accepted is not what is published.
    """
    seen = carried(SEEN, OWNER, BEHIND, (found(*GOOD, generation=6), True, PODS), NOW)
    assert not seen.confirmed
    assert seen.routers


@pytest.mark.parametrize(
    ("conditions", "code", "says", "carries"),
    [
        ((), "RoutesPending", "0 of 1 Gateways have looked at the HTTPRoute", False),
        (
            (condition("Accepted", observed=2), condition("ResolvedRefs", observed=2)),
            "RoutesPending",
            "The Gateway public has not looked at the latest HTTPRoute yet.",
            True,
        ),
        (
            (condition("Accepted", "False", reason="NoMatchingParent", message="no listener"),),
            "RoutesRefused",
            "The Gateway public refuses the HTTPRoute: NoMatchingParent: no listener",
            False,
        ),
        (
            (condition("Accepted"), condition("ResolvedRefs", "False", reason="BackendNotFound")),
            "RoutesRefused",
            "The Gateway public refuses the HTTPRoute: BackendNotFound: ",
            False,
        ),
    ],
)
def test_a_route_that_is_not_accepted_says_by_whom_and_why(
    conditions: tuple[dict[str, Any], ...], code: str, says: str, *, carries: bool
) -> None:
    """
    A refused one carries no traffic; one that is not looked at yet goes on with the last weights.
    """
    seen = carried(SEEN, OWNER, BEHIND, (found(*conditions), True, PODS), NOW)
    assert seen.gateway
    assert seen.gateway.code == code
    assert seen.gateway.message.startswith(says)
    assert bool(seen.routers) is carries
    assert not seen.confirmed


def test_routes_that_are_not_written_yet_are_pending() -> None:
    """
    Before the first apply nothing is there to be accepted.
    """
    seen = carried(SEEN, OWNER, BEHIND, ({}, True, {}), NOW)
    assert seen.gateway
    assert (seen.gateway.code, seen.routers) == ("RoutesPending", ())


def test_a_provider_goes_once_the_other_has_confirmed() -> None:
    """
    Routers stay until the Gateway carries the weights, and the weights until a router is ready.
    """
    ours: dict[tuple[str, str], Any] = {("Deployment", "mnist-router"): {}}
    waits = carried(SEEN, OWNER, BEHIND, (found(*GOOD, written=NOW), True, PODS), NOW)
    assert is_changing(OWNER, BEHIND, {**found(*GOOD, written=NOW), **ours}, waits)
    assert not is_changing(OWNER, BEHIND, found(*GOOD, written=NOW), waits)
    done = carried(SEEN, OWNER, BEHIND, (found(*GOOD), True, PODS), NOW)
    assert not is_changing(OWNER, BEHIND, {**found(*GOOD), **ours}, done)
    assert is_changing(OWNER, IN_FRONT, found(*GOOD), SEEN)
    assert not is_changing(OWNER, IN_FRONT, found(*GOOD), OURS)
    assert not is_changing(OWNER, IN_FRONT, {}, SEEN)
    assert not is_changing(OWNER, Traffic(), found(*GOOD), SEEN)
