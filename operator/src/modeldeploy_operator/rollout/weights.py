"""
Weights: shares of the traffic in ten-thousandths, and the pods that a share needs.

Ten-thousandths are what the router compares a random number with, so that no weight is rounded
between a person's percent and the data path.
"""

import math
import re
from decimal import Decimal

FULL = 10_000
"""All of the traffic."""

_PERCENT = re.compile(r"^(\d{1,3}(?:\.\d{1,2})?)%$")


def parse(weight: int | str) -> int:
    """
    Turn a step's weight into ten-thousandths.

    `1` gives 100, `100` gives 10,000, `"0.5%"` gives 50 and `"0.01%"` gives 1.

    Raises:
        ValueError: The weight is no share between 0 and 100 percent in hundredths of a percent.

    """
    if isinstance(weight, int):
        percent = Decimal(weight)
    else:
        match = _PERCENT.match(weight)
        if match is None:
            raise ValueError(f'The weight {weight!r} is not a percentage such as 10 or "0.5%".')
        percent = Decimal(match.group(1))
    share = int(percent * 100)
    if not 0 <= share <= FULL:
        raise ValueError(f"The weight {weight!r} is not between 0 and 100 percent.")
    return share


def text(share: int) -> str:
    """
    Print a share as people write it: 50 gives `0.5%`, 1,000 gives `10%`.
    """
    return f"{Decimal(share) / 100:f}%"


def canary_replicas(share: int, size: int) -> int:
    """
    Count the pods that a canary needs for its share, where `size` pods carry all the traffic.

    `max(1, ceil(share × size))`: 10 % of 4 is 1, 50 % of 3 is 2, 0.5 % of 1 is 1, 100 % of 4 is
    4. A deployment of size 0 has a canary of size 0.
    """
    if size == 0:
        return 0
    return max(1, math.ceil(share * size / FULL))


def carried(pods: int, size: int) -> int:
    """
    Return the share that so many pods carry, where `size` pods carry all the traffic.

    1 of 4 pods carries 2,500, 2 of 3 carry 6,666, and 5 of 4 carry 10,000.
    """
    return FULL if pods >= size else pods * FULL // size


def stable_replicas(share: int, size: int) -> int:
    """
    Count the pods that stable needs beside a canary's share: those for the rest, and at least 1.

    Of 4 pods, 25 % leave 3, 30 % leave 3, and 100 % leave 1. What `carried` has rounded down does
    not count: 2 of 3 pods carry 6,666, and leave 1.
    """
    rest = (FULL - share - 1) * size
    return min(size, max(1, -(-rest // FULL)))
