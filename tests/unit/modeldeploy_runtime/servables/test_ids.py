"""
Names and numbers of versions.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.servables.ids import Selector, ServableId


@pytest.mark.requirement("row-6")
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1", 1),
        ("00000123", 123),
        ("9223372036854775807", 2**63 - 1),
        # These numbers follow from the names for ever: clients may have written them down.
        ("2024-11-05T10-00", 5656689877235480175),
        ("v1", 8934058184686920850),
    ],
)
def test_numbers(name: str, number: int) -> None:
    """
    A version has the number that its name is, or one that follows from its name.
    """
    assert ids.version_number(name) == number


@given(st.text(min_size=1))
def test_derived_numbers(name: str) -> None:
    """
    Every name has a number that fits a message, and a name that is no number has a large one.
    """
    number = ids.version_number(name)
    assert 0 <= number < 2**63
    assert (number >= ids.FIRST_DERIVED) or ids.parse_number(name) == number


@pytest.mark.parametrize(
    ("versions", "ranked"),
    [
        ("10 9 010 1", "1 9 010 10"),
        ("2024-11-05 2024-9-30 2025-1-1", "2024-9-30 2024-11-05 2025-1-1"),
        ("v10 v9 10 final", "10 final v9 v10"),
    ],
)
def test_rank(versions: str, ranked: str) -> None:
    """
    Versions rank in natural order, so that numbers rank by value.
    """
    assert sorted(versions.split(), key=ids.rank) == ranked.split()


def test_what_people_see() -> None:
    """
    A number is shown as one, however its folder writes it, and any other version by its name.
    """
    assert ServableId("m", 123, "00000123").version_text == "123"
    assert ServableId("m", 123).version_text == "123"
    named = ServableId("m", ids.version_number("v1"), "v1")
    assert (named.version_text, named.is_named) == ("v1", True)
    assert str(named) == "{name: m version: v1}"
    assert str(Selector.of_version("m", "v1")) == "Specific(m, v1)"
    assert str(Selector.of_version("m", "007")) == "Specific(m, 7)"
    assert str(Selector("m")) == "Latest(m)"


@pytest.mark.parametrize(
    ("text", "is_too_large"), [("9223372036854775808", True), ("9" * 18, False), ("x", False)]
)
def test_too_large(text: str, *, is_too_large: bool) -> None:
    """
    A number beyond 63 bits is no version, and no name either.
    """
    assert ids.is_too_large(text) is is_too_large
