"""
The kinds of checks: what each counts as bad, how much of it is allowed, and how it says so.

A kind owns its counting: whoever judges asks it, and knows none by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modeldeploy_operator.analysis.betting import Count


@dataclass(frozen=True, slots=True)
class Tally:
    """
    What one version did since the last look.

    Attributes:
        attempts: Requests that the routers sent to it.
        faults: Those of them that failed by the server's fault.
        refused: Requests that it answered with an error that is called the client's.
        answered: Requests whose duration is known.
        slow: Seconds to the number of answered requests that took longer.

    """

    attempts: int = 0
    faults: int = 0
    refused: int = 0
    answered: int = 0
    slow: Mapping[float, int] = field(default_factory=dict)


NONE = Tally()


class Kind(Protocol):
    """
    What a check asks for. Its `repr` is what tells one wish from another.
    """

    @property
    def ceiling(self) -> float | None:
        """
        The highest share that may be bad; None for no limit.
        """

    @property
    def increase(self) -> float | None:
        """
        By how much the share may be above stable's; None for no comparison.
        """

    @property
    def verb(self) -> str:
        """
        What a bad request did, in the past tense.
        """

    @property
    def needs(self) -> str:
        """
        What the counts of pods must tell for it, by its name in a look; empty for nothing.
        """

    def judged(self, tally: Tally) -> Count:
        """
        Count what the ceiling is about.
        """

    def compared(self, tally: Tally) -> Count:
        """
        Count what is compared with stable.
        """


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """
    How many requests may fail.

    Attributes:
        max: The share that may fail by the server's fault; None for no limit.
        max_increase: By how much the share of all failures may be above stable's; None for no
            comparison.

    """

    max: float | None = None
    max_increase: float | None = None

    @property
    def ceiling(self) -> float | None:
        """
        The share that may fail by the server's fault.
        """
        return self.max

    @property
    def increase(self) -> float | None:
        """
        By how much the share of all failures may be above stable's.
        """
        return self.max_increase

    @property
    def verb(self) -> str:
        """
        Requests fail.
        """
        return "failed"

    @property
    def needs(self) -> str:
        """
        The routers tell enough.
        """
        return ""

    def judged(self, tally: Tally) -> Count:
        """
        Count what the server is to blame for.
        """
        return Count(tally.attempts, min(tally.attempts, tally.faults))

    def compared(self, tally: Tally) -> Count:
        """
        Count every failure, the client's too.
        """
        return Count(tally.attempts, min(tally.attempts, tally.faults + tally.refused))


@dataclass(frozen=True, slots=True)
class Latency:
    """
    How many requests may be slow.

    Attributes:
        limit: Seconds from which a request is slow.
        share: The share that may be slow; None for no limit.
        max_increase: By how much the share may be above stable's; None for no comparison.

    """

    limit: float
    share: float | None = None
    max_increase: float | None = None

    @property
    def ceiling(self) -> float | None:
        """
        The share that may be slow.
        """
        return self.share

    @property
    def increase(self) -> float | None:
        """
        By how much the share of slow requests may be above stable's.
        """
        return self.max_increase

    @property
    def verb(self) -> str:
        """
        Requests take long.
        """
        return f"took longer than {self.limit:g} s"

    @property
    def needs(self) -> str:
        """
        Durations that are counted finely enough around the limit.
        """
        return slower_than(self.limit)

    def judged(self, tally: Tally) -> Count:
        """
        Count the slow ones.
        """
        return Count(tally.answered, tally.slow.get(self.limit, 0))

    def compared(self, tally: Tally) -> Count:
        """
        Count the same.
        """
        return self.judged(tally)


def slower_than(seconds: float) -> str:
    """
    Name the count of requests that took longer.

    >>> slower_than(0.2)
    'slow:0.2'
    """
    return f"slow:{seconds!r}"
