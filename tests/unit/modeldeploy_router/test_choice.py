"""
What the routing map says of pins, lasting shares, and rules by header.
"""

import json
from typing import Any

from modeldeploy_router.core.choice import map_entries
from modeldeploy_router.core.routing import derived_number, parse_routing
from testkit.routers import EXAMPLE


def entries(**changes: Any) -> dict[str, str]:
    """
    Compute the map of the example with something else in it.
    """
    return map_entries(parse_routing(json.dumps(EXAMPLE | changes)))


def test_pins_are_found_by_version_and_label() -> None:
    """
    A version is written without leading zeros as an entry's name, and as its folder in its value.
    """
    slots = EXAMPLE["slots"] | {"c": {"revision": "r", "service": "s", "version": "003"}}
    found = entries(slots=slots, pins={"versions": {"003": "c"}, "labels": {"exp": "c"}})
    assert found["version/3"] == "c:003"
    assert found["label/exp"] == "c:003"


def test_a_version_that_is_no_number_is_found_by_name_number_and_label() -> None:
    """
    Its name is a label of its own, unless somebody gave that label to another pool.
    """
    named = {"revision": "r", "service": "s", "version": "2024-11-05"}
    slots = EXAMPLE["slots"] | {"a": named, "c": named | {"version": "v1"}}
    number = derived_number("2024-11-05")
    found = entries(slots=slots, pins={"versions": {"v1": "c"}, "labels": {"v1": "b"}})
    assert int(number) >= 1 << 62
    assert found[f"version/{number}"] == found["version/2024-11-05"] == "a:2024-11-05"
    assert found["label/2024-11-05"] == found["label/stable"] == "a:2024-11-05"
    assert (found["label/v1"], found["version/v1"]) == ("b:2", "c:v1")
    assert "label/2" not in found


def test_the_roles_labels_mean_the_roles() -> None:
    """
    No pin can make `stable` or `canary` mean anything else, and a version of stable is stable's.
    """
    pins = {"versions": {"1": "b"}, "labels": {"stable": "b", "canary": "a"}}
    found = entries(pins=pins)
    assert (found["label/stable"], found["label/canary"]) == ("a:1", "b:2")
    assert found["version/1"] == "a:1"
    assert "label/canary" not in entries(roles={"stable": "a"}, pins=pins)


def test_shares_stand_beside_the_split_as_bounds() -> None:
    """
    They are in the one entry that decides, each with what is drawn up to its end.
    """
    assert entries(shares={"a": 500, "b": 1500})["split"] == "a:b:1000:7:a:500:b:2000"


def test_rules_by_header_are_one_entry() -> None:
    """
    Values are quoted, so that none is taken for a separator.
    """
    match = [
        {"name": "beta", "headers": {"x-cohort": "be;ta|1", "x-a": "b c"}, "to": "canary"},
        {"name": "old", "headers": {"x-old": "1"}, "to": "stable"},
    ]
    found = entries(match=match, sticky={"cookie": "SID"})
    assert found["match"] == "canary;x-a=b%20c;x-cohort=be%3Bta%7C1|stable;x-old=1"
    assert found["sticky"] == "cookie:SID"
    assert entries(sticky={"header": "x-user-id"})["sticky"] == "header:x-user-id"
