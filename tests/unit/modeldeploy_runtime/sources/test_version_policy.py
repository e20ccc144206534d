"""
Which versions are served.
"""

import pytest

from modeldeploy_runtime.sources import version_policy
from modeldeploy_runtime.sources.version_policy import All, Latest, Specific, VersionPolicy


@pytest.mark.requirement("row-9")
@pytest.mark.parametrize(
    ("policy", "found", "chosen"),
    [
        (Latest(), {1, 2, 10}, {10}),
        (Latest(2), {1, 2, 10}, {2, 10}),
        (Latest(5), {1}, {1}),
        (Latest(), set(), set()),
        (All(), {1, 2}, {1, 2}),
        (Specific(frozenset({1, 3})), {1, 2}, {1}),
    ],
)
def test_choose(policy: VersionPolicy, found: set[int], chosen: set[int]) -> None:
    """
    The policy chooses among the versions that exist.
    """
    assert version_policy.choose(policy, found) == chosen


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("1", 1),
        ("00000123", 123),
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("-1", None),
        ("1.0", None),
        ("v1", None),
        ("", None),
        (".1-temporary", None),
        ("１", None),
    ],
)
def test_parse_version(name: str, version: int | None) -> None:
    """
    A folder whose name is a number is a version; every other one is something else.
    """
    assert version_policy.parse_version(name) == version
