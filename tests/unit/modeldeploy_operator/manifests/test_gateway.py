"""
Routes lead to the routers' Service, or carry the weights to the pools.
"""

from dataclasses import replace
from typing import Any

import pytest

from modeldeploy_operator.manifests.entrance.gateway import (
    GENERATION_ANNOTATION,
    GRPC_MATCHES,
    Reach,
    url_of,
)
from modeldeploy_operator.manifests.plan import Ground, build_plan
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Memory
from modeldeploy_operator.rollout.snapshot import Routing
from modeldeploy_operator.rollout.states import State
from testkit.objects import IMAGES, OWNER, a_spec, an_object

GATEWAY = {
    "parentRefs": [{"name": "public", "namespace": "edge", "sectionName": "web"}],
    "hostnames": ["mnist.example.com"],
}
STEADY = Decision(memory=Memory(), state=State.STEADY, reason="Stable", message="")
SLOTS = {"a": "r1", "b": "r2"}
SHARED = replace(STEADY, routing=Routing(SLOTS, "r1", "r2", 1))


def planned(
    decision: Decision, *, routable: bool = True, changing: bool = False, **traffic: Any
) -> list[dict[str, Any]]:
    """
    Build the plan of a deployment behind a Gateway.
    """
    spec = a_spec(traffic={"gateway": GATEWAY, **traffic})
    ground = Ground(OWNER, spec, IMAGES, generation=7, reach=Reach(routable, changing))
    return list(build_plan(decision, ground))


def routes(plan: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Pick the routes by kind.
    """
    return {m["kind"]: m for m in plan if m["kind"].endswith("Route")}


def test_in_front_of_the_routers_stands_one_route_for_each_protocol() -> None:
    """
    Both lead to the Service that clients use, whatever the weights are.
    """
    plan = planned(SHARED)
    found = routes(plan)
    ports = {kind: r["spec"]["rules"][0]["backendRefs"] for kind, r in found.items()}
    assert ports == {
        "HTTPRoute": [{"name": "mnist", "port": 8501}],
        "GRPCRoute": [{"name": "mnist", "port": 8500}],
    }
    for route in found.values():
        assert route["spec"]["parentRefs"] == GATEWAY["parentRefs"]
        assert route["spec"]["hostnames"] == GATEWAY["hostnames"]
        assert "annotations" not in route["metadata"]
    assert any(m["metadata"]["name"] == "mnist-router" for m in plan)


def test_without_routers_the_routes_carry_the_weights_exactly() -> None:
    """
    Ten-thousandths fit the integers of a Gateway, and the generation is written beside them.
    """
    plan = planned(SHARED, provider="Gateway")
    for kind, port in (("HTTPRoute", 8501), ("GRPCRoute", 8500)):
        route = routes(plan)[kind]
        assert route["metadata"]["annotations"] == {GENERATION_ANNOTATION: "7"}
        assert route["spec"]["rules"][0]["backendRefs"] == [
            {"name": "mnist-r1", "port": port, "weight": 9_999},
            {"name": "mnist-r2", "port": port, "weight": 1},
        ]
    assert not [m for m in plan if m["metadata"]["name"] == "mnist-router"]
    assert not [m for m in plan if (m["kind"], m["metadata"]["name"]) == ("Service", "mnist")]


@pytest.mark.parametrize("routing", [Routing(SLOTS, "r1"), Routing(SLOTS, "r2", "r1", 10_000)])
def test_a_pool_without_a_share_is_no_backend(routing: Routing) -> None:
    """
    A pool that is prepared or drained is not named, so that it cannot break the route.
    """
    plan = planned(replace(STEADY, routing=routing), provider="Gateway")
    [backend] = routes(plan)["HTTPRoute"]["spec"]["rules"][0]["backendRefs"]
    assert backend == {"name": "mnist-r1", "port": 8501, "weight": 10_000}


def test_no_route_is_written_where_it_cannot_be() -> None:
    """
    The cluster does not know routes, or there is nothing to carry yet.
    """
    assert routes(planned(SHARED, routable=False)) == {}
    assert routes(planned(STEADY, provider="Gateway")) == {}
    spec = a_spec(traffic={"gateway": {"parentRefs": [{"name": "public"}]}})
    plan = build_plan(SHARED, Ground(OWNER, spec, IMAGES, reach=Reach(routable=True)))
    assert "hostnames" not in routes(list(plan))["HTTPRoute"]["spec"]


@pytest.mark.parametrize("provider", ["Router", "Gateway"])
def test_where_a_provider_takes_over_both_ways_lead_in(provider: str) -> None:
    """
    The routers run, and the routes do without them, whichever of the two comes or goes.
    """
    plan = planned(SHARED, changing=True, provider=provider)
    assert {r["name"] for r in routes(plan)["HTTPRoute"]["spec"]["rules"][0]["backendRefs"]} == {
        "mnist-r1",
        "mnist-r2",
    }
    assert [m["kind"] for m in plan if m["metadata"]["name"] == "mnist-router"]
    assert [m for m in plan if (m["kind"], m["metadata"]["name"]) == ("Service", "mnist")]


def test_no_client_reloads_a_server_through_a_gateway() -> None:
    """
    Of the service that holds the reload, the question after the state alone is led on.
    """
    methods = [match["method"] for match in GRPC_MATCHES]
    service = "tensorflow.serving.ModelService"
    assert [m["method"] for m in methods if m["service"] == service] == ["GetModelStatus"]


def test_the_url_is_where_clients_come_in() -> None:
    """
    Our Service wherever there are routers, else the Gateway by its first name.
    """
    service = "http://mnist.vision.svc:8501"
    assert url_of(an_object()) == service
    assert url_of(an_object(traffic={"gateway": GATEWAY})) == service
    secure = an_object(traffic={"tls": {"secretName": "public"}})
    assert url_of(secure) == service.replace("http", "https")
    behind = an_object(traffic={"provider": "Gateway", "gateway": GATEWAY})
    assert url_of(behind) == "http://mnist.example.com"
    nameless = {"parentRefs": [{"name": "public"}]}
    assert url_of(an_object(traffic={"provider": "Gateway", "gateway": nameless})) == ""
