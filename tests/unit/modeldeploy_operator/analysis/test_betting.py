"""
The bets: fair or worse for the gambler wherever the null hypothesis holds, and good where not.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.analysis.betting import (
    NOTHING,
    ODDS_RATIOS,
    Count,
    bet_on_increase,
    is_proven,
    wealth_against_limit,
    wealth_of,
)

RATES = st.floats(0.0, 1.0)


def _chances(total: int, rate: float) -> list[float]:
    return [math.comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(total + 1)]


def test_counts_add_up() -> None:
    """
    Counts of two looks are one count, and the rate of nothing is 0.
    """
    assert Count(10, 1) + Count(30, 5) == Count(40, 6)
    assert Count(40, 6).rate == 0.15
    assert NOTHING.rate == 0.0


@given(limit=st.floats(0.001, 0.9), below=RATES, total=st.integers(0, 40))
def test_the_limit_is_never_a_good_bet_below_it(limit: float, below: float, total: int) -> None:
    """
    For every rate up to the limit the expected wealth is at most 1: exactly, by summing it up.
    """
    chances = _chances(total, below * limit)
    mean = sum(
        chance * math.exp(wealth_against_limit(Count(total, bad), limit))
        for bad, chance in enumerate(chances)
    )
    assert mean <= 1 + 1e-9


@given(
    base_rate=RATES,
    below=RATES,
    increase=st.floats(0.0, 0.3),
    sizes=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    past=st.tuples(st.integers(0, 1000), RATES),
)
def test_an_increase_is_never_a_good_bet_without_one(
    base_rate: float,
    below: float,
    increase: float,
    sizes: tuple[int, int],
    past: tuple[int, float],
) -> None:
    """
    Whatever stable's rate is, and whatever was guessed of it, no bet gains on average.
    """
    canary_rate = below * min(1.0, base_rate + increase)
    guessed = Count(past[0], int(past[0] * past[1]))
    means = [0.0] * len(ODDS_RATIOS)
    for base_bad, base_chance in enumerate(_chances(sizes[0], base_rate)):
        for bad, chance in enumerate(_chances(sizes[1], canary_rate)):
            base, canary = Count(sizes[0], base_bad), Count(sizes[1], bad)
            wealths = bet_on_increase((), base, canary, guessed, increase)
            for number, wealth in enumerate(wealths):
                means[number] += base_chance * chance * math.exp(wealth)
    assert max(means) <= 1 + 1e-6


@pytest.mark.parametrize(
    ("count", "limit", "wealth"),
    [
        (Count(100, 1), 0.0, math.inf),
        (Count(100, 0), 0.0, 0.0),
        (Count(100, 100), 1.0, 0.0),
        (NOTHING, 0.01, 0.0),
    ],
)
def test_the_edges_of_a_limit(count: Count, limit: float, wealth: float) -> None:
    """
    A limit of 0 allows nothing at all, and a limit of 1 everything.
    """
    assert wealth_against_limit(count, limit) == pytest.approx(wealth)


def test_fifty_failures_of_fifty_prove_it() -> None:
    """
    A canary that fails every request is found within fifty of them, by either test.
    """
    failed = Count(50, 50)
    assert is_proven(wealth_against_limit(failed, 0.05), 0.001)
    wealths = bet_on_increase((), Count(500, 5), failed, Count(500, 5), 0.01)
    assert is_proven(wealth_of(wealths), 0.001)


def test_what_cannot_be_bet_on_changes_nothing() -> None:
    """
    Without canary requests, or where every rate is allowed, the wealth stays.
    """
    assert bet_on_increase((), Count(10, 1), NOTHING, NOTHING, 0.1) == (0.0,) * len(ODDS_RATIOS)
    broken = Count(1_000_000, 1_000_000)
    before = (1.0,) * len(ODDS_RATIOS)
    assert bet_on_increase(before, NOTHING, Count(5, 5), broken, 0.1) == before
    assert wealth_of(()) == 0.0
