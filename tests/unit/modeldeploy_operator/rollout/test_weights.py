"""
Weights are exact from a person's percent to the router, and a share gets pods enough.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.rollout import weights


@pytest.mark.requirement("row-14")
@pytest.mark.parametrize(
    ("written", "share"),
    [
        (0, 0),
        (1, 100),
        (100, 10_000),
        ("0.5%", 50),
        ("0.01%", 1),
        ("1.25%", 125),
        ("100%", 10_000),
        ("7%", 700),
    ],
)
def test_a_percentage_becomes_ten_thousandths(written: int | str, share: int) -> None:
    """
    An integer is a percentage; a string may go down to a hundredth of a percent.
    """
    assert weights.parse(written) == share


@pytest.mark.parametrize("written", ["5", "0.001%", "-1%", "", "five%", ".5%", "1%%"])
def test_what_is_no_percentage_is_refused(written: str) -> None:
    """
    Text that is no percentage is refused with a sentence that shows it.
    """
    with pytest.raises(ValueError, match="is not a percentage"):
        weights.parse(written)


@pytest.mark.parametrize("written", [-1, 101, "100.01%", "999%"])
def test_more_than_everything_is_refused(written: int | str) -> None:
    """
    A share below nothing or above everything is refused.
    """
    with pytest.raises(ValueError, match="not between 0 and 100 percent"):
        weights.parse(written)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (1, "0.01%"), (50, "0.5%"), (1_000, "10%"), (10_000, "100%")]
)
def test_shares_are_printed_as_people_write_them(share: int, text: str) -> None:
    """
    A share is printed as a percentage without trailing zeros.
    """
    assert weights.text(share) == text


@given(st.integers(0, weights.FULL))
def test_printing_and_parsing_are_inverse(share: int) -> None:
    """
    What is printed means the same when it is read again; nothing is rounded.
    """
    assert weights.parse(weights.text(share)) == share


@pytest.mark.parametrize(
    ("share", "size", "replicas"),
    [
        (1_000, 4, 1),
        (5_000, 3, 2),
        (50, 1, 1),
        (10_000, 4, 4),
        (0, 4, 1),
        (1_000, 0, 0),
        (2_501, 4, 2),
    ],
)
def test_a_share_gets_the_pods_that_it_needs(share: int, size: int, replicas: int) -> None:
    """
    A canary has max(1, ceil(share × size)) pods, and none in a deployment of size 0.
    """
    assert weights.canary_replicas(share, size) == replicas


@given(st.integers(0, weights.FULL), st.integers(1, 1_000))
def test_capacity_never_falls_short_of_the_share(share: int, size: int) -> None:
    """
    The canary's pods carry at least its share, never number more than all, and never none.
    """
    replicas = weights.canary_replicas(share, size)
    assert 1 <= replicas <= size
    assert replicas * weights.FULL >= share * size


@given(st.integers(0, weights.FULL - 1), st.integers(1, 1_000))
def test_more_share_never_means_fewer_pods(share: int, size: int) -> None:
    """
    The pods grow with the share.
    """
    assert weights.canary_replicas(share, size) <= weights.canary_replicas(share + 1, size)
