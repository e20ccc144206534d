"""
Tests that stay valid however often one looks: one-sided, by betting against the null hypothesis.

Each keeps the wealth of a gambler who bets that a version is worse than it may be. While the null
hypothesis holds, the odds are never in the gambler's favour, so that the chance that the wealth
ever reaches 1/alpha is at most alpha, at whatever moments one looks (Ville's inequality). Wealth is
kept as a natural logarithm.

The bet against a fixed limit is the likelihood ratio of a worse rate, averaged over several worse
rates. The bet against another version's rate is the one for two streams of Turner, Ly and Gruenwald
(2021): the likelihood of a guess divided by that of the nearest pair of rates that the null
hypothesis allows; it needs no knowledge of the other version's true rate, and the rates may drift
from block to block.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ODDS_RATIOS = (1.3, 1.7, 2.5, 4.0, 8.0, 20.0, 80.0, 1000.0)
"""The worse rates that are bet on, as multiples of the odds at the limit."""
PRIOR_REQUESTS, PRIOR_RATE = 10.0, 0.01
"""What is believed of a version before anything was counted: so many requests, so many bad."""
_HALVINGS = 48
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Count:
    """
    Requests, and how many of them were bad.
    """

    total: int = 0
    bad: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.total + other.total, self.bad + other.bad)

    @property
    def rate(self) -> float:
        """
        The share of bad ones; 0 of nothing.
        """
        return self.bad / self.total if self.total else 0.0


NOTHING = Count()


def wealth_against_limit(count: Count, limit: float) -> float:
    """
    Return the logarithm of the wealth of betting that the rate is above a limit.

    Args:
        count: All requests so far.
        limit: The highest rate that is allowed, from 0 to 1.

    """
    if limit <= 0:
        return math.inf if count.bad else 0.0
    if limit >= 1:
        return 0.0
    good = count.total - count.bad
    return _mean(
        [
            count.bad * math.log(rate / limit) + good * math.log((1 - rate) / (1 - limit))
            for rate in _worse_than(limit)
        ]
    )


def bet_on_increase(
    wealths: Sequence[float], base: Count, canary: Count, past: Count, increase: float
) -> tuple[float, ...]:
    """
    Bet on one more block of both streams that the canary's rate is above the base's plus a margin.

    Args:
        wealths: The logarithms of the wealth so far, one for each of `ODDS_RATIOS`; empty at first.
        base: The base's requests in this block.
        canary: The canary's requests in this block.
        past: The base's requests before this block, from which its rate is guessed.
        increase: The margin, from 0 to 1.

    Returns:
        The logarithms of the wealth after this block.

    """
    before = tuple(wealths) or (0.0,) * len(ODDS_RATIOS)
    if not canary.total:
        return before
    guess = (past.bad + PRIOR_REQUESTS * PRIOR_RATE) / (past.total + PRIOR_REQUESTS)
    limit = guess + increase
    if limit >= 1 - _TINY:
        return before
    after = []
    for wealth, worse in zip(before, _worse_than(limit), strict=True):
        allowed = _nearest(guess, worse, base.total, canary.total, increase)
        gain = _ratio(base, guess, allowed) + _ratio(canary, worse, allowed + increase)
        after.append(wealth + gain)
    return tuple(after)


def wealth_of(wealths: Sequence[float]) -> float:
    """
    Return the logarithm of the mean of the wealths whose logarithms are given; 0 of none.
    """
    return _mean(wealths) if wealths else 0.0


def is_proven(wealth: float, alpha: float) -> bool:
    """
    Tell whether a wealth refutes the null hypothesis at the level alpha.
    """
    return wealth >= -math.log(alpha)


def _worse_than(limit: float) -> list[float]:
    odds = limit / (1 - limit)
    return [odds * ratio / (1 + odds * ratio) for ratio in ODDS_RATIOS]


def _ratio(count: Count, guess: float, allowed: float) -> float:
    good = count.total - count.bad
    return count.bad * math.log(guess / allowed) + good * math.log((1 - guess) / (1 - allowed))


def _nearest(base: float, canary: float, base_n: int, canary_n: int, increase: float) -> float:
    """
    Find the base rate of the allowed pair that is nearest to a guessed pair.

    The pair lies on the line where the canary's rate is the base's plus the margin; the nearest is
    the one with the smallest Kullback-Leibler divergence, each stream weighed by its requests. Its
    derivative only grows along the line, so that halving finds its zero.
    """
    low, high = _TINY, 1 - increase - _TINY
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        other = rate + increase
        slope = base_n * (rate - base) / (rate * (1 - rate))
        slope += canary_n * (other - canary) / (other * (1 - other))
        if slope > 0:
            high = rate
        else:
            low = rate
    return (low + high) / 2


def _mean(logarithms: Sequence[float]) -> float:
    top = max(logarithms)
    return top + math.log(sum(math.exp(value - top) for value in logarithms) / len(logarithms))
