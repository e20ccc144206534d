"""
What is checked, and what one look at both versions has counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from modeldeploy_operator.analysis.betting import Count

FALSE_ALARM_RATE = 0.01
"""The chance that a whole rollout of an equally good version is ended by its checks."""


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


@dataclass(frozen=True, slots=True)
class Check:
    """
    One named check.
    """

    name: str
    what: ErrorRate | Latency

    @property
    def limit(self) -> float | None:
        """
        The highest allowed rate, if one is.
        """
        return self.what.max if isinstance(self.what, ErrorRate) else self.what.share

    @property
    def tests(self) -> int:
        """
        How many tests the check consists of, among which the false alarms are shared.
        """
        return (self.limit is not None) + (self.what.max_increase is not None)


class OnNoData(StrEnum):
    """
    What happens when a step's hold is over and its checks have not seen enough requests.
    """

    WAIT = "Wait"
    CONTINUE = "Continue"
    ROLLBACK = "Rollback"


@dataclass(frozen=True, slots=True)
class Criteria:
    """
    By what a canary is judged.

    Attributes:
        checks: The checks; without any, nothing is counted.
        interval: Seconds between two looks.
        min_requests: Canary requests that each check must have seen in each step.
        on_no_data: What happens where there are fewer.
        pauses: Whether a failed check stops the rollout where it stands, instead of ending it.

    """

    checks: tuple[Check, ...] = ()
    interval: float = 30.0
    min_requests: int = 200
    on_no_data: OnNoData = OnNoData.WAIT
    pauses: bool = False


UNJUDGED = Criteria()


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

    def against_limit(self, check: Check) -> Count:
        """
        Count what a check's limit is about.
        """
        if isinstance(check.what, ErrorRate):
            return Count(self.attempts, min(self.attempts, self.faults))
        return Count(self.answered, self.slow.get(check.what.limit, 0))

    def compared(self, check: Check) -> Count:
        """
        Count what a check compares with stable: every failure, the client's too.
        """
        if isinstance(check.what, ErrorRate):
            return Count(self.attempts, min(self.attempts, self.faults + self.refused))
        return Count(self.answered, self.slow.get(check.what.limit, 0))


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    One look at both versions: what each did since the look before.

    Attributes:
        stable: The stable version's part.
        canary: The canary's part.
        problems: Check name to the reason for which it could not be measured in this look.

    """

    stable: Tally = Tally()
    canary: Tally = Tally()
    problems: Mapping[str, str] = field(default_factory=dict)
