"""
The routing ConfigMap goes to the routers and comes back as it was.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.manifests.entrance.routing import build_routing, parse_routing
from modeldeploy_operator.rollout.snapshot import Match, Routing, Rules
from testkit.objects import OWNER

TENTH = Routing({"a": "v1", "b": "v2"}, "v1", "v2", 1_000)


def test_the_document_is_that_of_the_architecture() -> None:
    """
    Slots name pools, roles point at slots, and the weight is the canary's.
    """
    config_map = build_routing(OWNER, "mnist", TENTH, 7, {"v1": "1", "v2": "2"})
    assert json.loads(config_map["data"]["routing.json"]) == {
        "generation": 7,
        "model": "mnist",
        "slots": {
            "a": {"revision": "v1", "service": "mnist-v1", "version": "1"},
            "b": {"revision": "v2", "service": "mnist-v2", "version": "2"},
        },
        "roles": {"stable": "a", "canary": "b"},
        "weight": 1000,
    }


def test_without_a_canary_its_role_is_left_out() -> None:
    """
    No canary, no role; a pool whose version is unknown has an empty one.
    """
    config_map = build_routing(OWNER, "mnist", Routing({"a": "v1"}, "v1"), 1, {})
    document = json.loads(config_map["data"]["routing.json"])
    assert document["roles"] == {"stable": "a"}
    assert document["slots"]["a"]["version"] == ""


STANDING = Routing(
    {"a": "v1", "b": "v2", "c": "v3"},
    "v1",
    versions={"3": "v3"},
    labels={"experiment": "v3"},
    shares={"v3": 500},
    rules=Rules((Match("beta", {"x-cohort": "beta"}, "canary"),), ("header", "x-user-id")),
)


def test_standing_versions_and_rules_are_those_of_the_architecture() -> None:
    """
    Pins, shares and rules are there where they say something, and come back as they were.
    """
    config_map = build_routing(OWNER, "mnist", STANDING, 7, {})
    document = json.loads(config_map["data"]["routing.json"])
    further = {key: document[key] for key in ("pins", "shares", "match", "sticky")}
    assert further == {
        "pins": {"versions": {"3": "c"}, "labels": {"experiment": "c"}},
        "shares": {"c": 500},
        "match": [{"name": "beta", "headers": {"x-cohort": "beta"}, "to": "canary"}],
        "sticky": {"header": "x-user-id"},
    }
    assert parse_routing(config_map) == (7, STANDING)


@given(st.integers(0, 2**31), st.integers(0, 10_000))
def test_what_is_published_is_read_back(generation: int, weight: int) -> None:
    """
    The operator reads exactly what it wrote.
    """
    routing = Routing({"c": "v1", "d": "v2"}, "v1", "v2", weight)
    assert parse_routing(build_routing(OWNER, "m", routing, generation, {})) == (
        generation,
        routing,
    )


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"slots": {}, "roles": {"stable": "a"}}', '{"slots": [], "roles": {}}'],
)
def test_what_is_not_ours_is_not_read(text: str) -> None:
    """
    A ConfigMap that holds no routing configuration counts as none.
    """
    assert parse_routing({"data": {"routing.json": text}}) is None
    assert parse_routing({}) is None
