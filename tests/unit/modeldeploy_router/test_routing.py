"""
The routing configuration is read strictly, since everything after it relies on it.
"""

import json
from typing import Any

import pytest

from modeldeploy_router.core.routing import Pool, Routing, RoutingError, parse_routing
from testkit.routers import EXAMPLE


def test_the_example_of_the_architecture() -> None:
    """
    The example in ARCHITECTURE.md is read as it stands there.
    """
    assert parse_routing(json.dumps(EXAMPLE)) == Routing(
        generation=7,
        model="mnist",
        slots={
            "a": Pool("0a1b2c3d4e", "mnist-0a1b2c3d4e", "1"),
            "b": Pool("5f6a7b8c9d", "mnist-5f6a7b8c9d", "2"),
        },
        stable="a",
        canary="b",
        weight=1000,
    )


def test_no_canary_has_no_weight() -> None:
    """
    Without a canary nothing is split, whatever the weight says.
    """
    routing = parse_routing(json.dumps(EXAMPLE | {"roles": {"stable": "a"}}))
    assert (routing.canary, routing.weight) == (None, 0)


def test_nothing_serves_yet() -> None:
    """
    Before the first revision is ready there may be no role at all.
    """
    routing = parse_routing(json.dumps(EXAMPLE | {"roles": {}, "weight": 0}))
    assert routing.stable is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slots": {"z": EXAMPLE["slots"]["a"]}}, r"slots \['z'\]"),
        ({"roles": {"stable": "c"}}, "the slot 'c', which is not described"),
        ({"weight": 10_001}, "weight 10001"),
        ({"pins": {"versions": {"3": "c"}}}, "the slot 'c', which is not described"),
        ({"pins": {"labels": {"x": "c"}}}, "the slot 'c', which is not described"),
        ({"shares": {"c": 1}}, "the slot 'c', which is not described"),
        ({"shares": {"a": 0}}, "lasting shares"),
        ({"shares": {"a": 6000, "b": 4001}}, "lasting shares"),
        ({"weight": -1}, "weight -1"),
        ({"generation": "seven"}, "cannot be read"),
        ({"slots": {"a": {"revision": "x"}}}, "cannot be read"),
        ({"slots": []}, "cannot be read"),
    ],
)
def test_what_cannot_be_applied_is_refused(changes: dict[str, Any], words: str) -> None:
    """
    A wrong configuration is refused with a sentence that names what is wrong.
    """
    with pytest.raises(RoutingError, match=words):
        parse_routing(json.dumps(EXAMPLE | changes))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "7"])
def test_what_is_no_object_is_refused(text: str) -> None:
    """
    What is not JSON, or no object, is refused the same way.
    """
    with pytest.raises(RoutingError, match="cannot be read"):
        parse_routing(text)


def test_names_are_quoted_in_the_check_path() -> None:
    """
    No name can break out of the path, or out of the line on the runtime socket.
    """
    slots = {"a": {"revision": "r", "service": "s", "version": "1;x y"}}
    changes = {"model": "a/b c\n", "slots": slots, "roles": {"stable": "a"}}
    routing = parse_routing(json.dumps(EXAMPLE | changes))
    assert routing.check_path("a") == "/v1/models/a%2Fb%20c%0A/versions/1%3Bx%20y"
