"""
The kinds of checks: what each counts as bad, how much of it is allowed, and how it says so.

A kind owns its counting: whoever judges asks it, and knows none by name.
"""

from dataclasses import dataclass
from typing import Protocol

from modeldeploy_operator.analysis.betting import Count
from modeldeploy_operator.analysis.tally import Drift, Tally


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
    def subject(self) -> str:
        """
        What is counted.
        """

    @property
    def verb(self) -> str:
        """
        What a bad one did, in the past tense.
        """

    @property
    def needs_traffic(self) -> bool:
        """
        Whether the canary must get clients' requests for it.
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

    def told(self, tally: Tally) -> Drift | None:
        """
        Return what the status tells besides.
        """


class _OfTraffic:
    """
    What kinds have in common that count clients' requests to the canary.
    """

    __slots__ = ()

    @property
    def subject(self) -> str:
        """
        Requests that the canary got.
        """
        return "canary requests"

    @property
    def needs_traffic(self) -> bool:
        """
        Without requests there is nothing to count.
        """
        return True

    def told(self, _: Tally) -> Drift | None:
        """
        The counts are all there is.
        """
        return None


@dataclass(frozen=True, slots=True)
class ErrorRate(_OfTraffic):
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
class Latency(_OfTraffic):
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


@dataclass(frozen=True, slots=True)
class Shadow:
    """
    How many of stable's requests the canary may answer otherwise.

    Attributes:
        percent: The share of stable's requests that the canary is asked, too.
        tolerance: How far numbers may differ, absolutely and in proportion.
        max_mismatch: The share that may be answered otherwise.

    """

    percent: float
    tolerance: float
    max_mismatch: float

    @property
    def ceiling(self) -> float | None:
        """
        The share that may be answered otherwise.
        """
        return self.max_mismatch

    @property
    def increase(self) -> float | None:
        """
        Each request is a comparison with stable already.
        """
        return None

    @property
    def subject(self) -> str:
        """
        Requests that both versions answered.
        """
        return "compared requests"

    @property
    def verb(self) -> str:
        """
        Answers differ.
        """
        return "were answered otherwise than by stable"

    @property
    def needs_traffic(self) -> bool:
        """
        Stable's requests are enough.
        """
        return False

    @property
    def needs(self) -> str:
        """
        Stable pods that take a target.
        """
        return SHADOW

    def judged(self, tally: Tally) -> Count:
        """
        Count the answers that differed.
        """
        return Count(tally.mirrored, tally.drifted)

    def compared(self, tally: Tally) -> Count:
        """
        Count the same.
        """
        return self.judged(tally)

    def told(self, tally: Tally) -> Drift | None:
        """
        Tell how they differed.
        """
        return tally.drift


SHADOW = "shadow"
"""What a check of this kind needs."""


def slower_than(seconds: float) -> str:
    """
    Name the count of requests that took longer.

    >>> slower_than(0.2)
    'slow:0.2'
    """
    return f"slow:{seconds!r}"
