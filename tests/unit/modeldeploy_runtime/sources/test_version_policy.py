"""
Which versions are served.
"""

import pytest

from modeldeploy_runtime.sources import version_policy
from modeldeploy_runtime.sources.version_policy import All, Latest, Specific, Verdict, VersionPolicy


@pytest.mark.requirement("row-9")
@pytest.mark.parametrize(
    ("policy", "found", "chosen"),
    [
        (Latest(), "1 2 10", "10"),
        (Latest(2), "1 2 10", "10 2"),
        (Latest(5), "1", "1"),
        (Latest(), "", ""),
        (Latest(), "9 010", "010"),
        (Latest(2), "2024-9-1 2024-10-1 7", "2024-10-1 2024-9-1"),
        (All(), "1 2", "2 1"),
        (Specific(frozenset({1, 3})), "001 2", "001"),
        # What is incomplete is as if it were not there.
        (Latest(), "1 2 3-half", "2"),
        (All(), "1 3-half", "1"),
        # Older versions wait for a new one that only has to be looked at once more.
        (Latest(), "1 2 3-new", ""),
        # Those that were chosen before are not given up for its sake.
        (Latest(2), "1 2 3-new", "2 1"),
        (All(), "1 2 3-new", "2 1"),
    ],
)
def test_choose(policy: VersionPolicy, found: str, chosen: str) -> None:
    """
    The policy chooses among the complete versions that exist, the newest first.
    """
    assert version_policy.choose(policy, found.split(), _judge) == chosen.split()


def _judge(version: str) -> Verdict:
    if version.endswith("-half"):
        return Verdict.LACKING
    return Verdict.HOPEFUL if version.endswith("-new") else Verdict.COMPLETE


def test_no_more_is_judged_than_needed() -> None:
    """
    The newest versions are looked at, and of the others none.
    """
    asked: list[str] = []

    def judge(version: str) -> Verdict:
        asked.append(version)
        return _judge(version)

    version_policy.choose(Latest(), ["1", "2", "10"], judge)
    version_policy.choose(Latest(2), ["1", "2-half", "10", "11-new", "12-new"], judge)
    version_policy.choose(Specific(frozenset({2})), ["1", "2", "10"], judge)
    assert asked == ["10", "12-new", "11-new", "2"]


@pytest.mark.parametrize(
    ("name", "is_number", "is_any"),
    [
        ("1", True, True),
        ("00000123", True, True),
        ("9223372036854775807", True, True),
        ("9223372036854775808", False, True),
        ("-1", False, True),
        ("v1", False, True),
        ("2024-11-05T10-00", False, True),
        ("", False, False),
        (".1-temporary", False, False),
        ("１", False, False),
        ("a\nb", False, False),
    ],
)
def test_is_version(name: str, *, is_number: bool, is_any: bool) -> None:
    """
    A folder whose name is a number is a version; other names count only where they are wanted.
    """
    assert version_policy.is_version(name) is is_number
    assert version_policy.is_version(name, any_name=True) is is_any
