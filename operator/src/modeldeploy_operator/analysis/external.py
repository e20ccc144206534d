"""
External checks: what others say of a canary, and what came of asking them.

They keep no bets: a measurement is good, bad, or none at all.
"""

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """
    Who is asked.
    """

    PROMETHEUS = "prometheus"
    WEB = "web"
    JOB = "job"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class External:
    """
    One external check.

    Attributes:
        name: What the status calls it.
        source: Who is asked.
        asked: A hash of all that it asks for; another wish begins anew.
        min: The lowest value that is good, if there is one.
        max: The highest value that is good, if there is one.

    """

    name: str
    source: Source
    asked: str = ""
    min: float | None = None
    max: float | None = None

    @property
    def before_traffic(self) -> bool:
        """
        Whether it is measured once, by a Job, before the canary gets any traffic.
        """
        return self.source in {Source.JOB, Source.REPLAY}

    @property
    def threshold(self) -> str:
        """
        Say which values are good.
        """
        if self.source is Source.JOB:
            return "success"
        if self.source is Source.REPLAY:
            return f"at most {self.max or 0.0:.2%}"
        bounds = []
        if self.min is not None:
            bounds.append(f"at least {self.min:g}")
        if self.max is not None:
            bounds.append(f"at most {self.max:g}")
        return " and ".join(bounds)

    def shown(self, value: float | None) -> str:
        """
        Write a value as people read it.
        """
        if value is None:
            return ""
        if self.source is Source.JOB:
            return "success" if value else "failure"
        return f"{value:.2%}" if self.source is Source.REPLAY else f"{value:.6g}"

    def is_good(self, value: float) -> bool:
        """
        Tell whether a value lies within the bounds.
        """
        low = self.min is None or value >= self.min
        return low and (self.max is None or value <= self.max)


@dataclass(frozen=True, slots=True)
class Measurement:
    """
    What came of one question.

    Attributes:
        asked: The `External.asked` that it answers.
        value: What was measured; a Job's is 1 for success and 0 for failure, a replay's the share
            of recorded requests that were answered differently.
        samples: How many requests it is made of, where that is known.
        message: More about it, such as what a Job said in the end.
        problem: Why there is no value; an error in measuring is not a bad measurement.
        pending: What is still waited for.

    """

    asked: str
    value: float | None = None
    samples: int = 0
    message: str = ""
    problem: str = ""
    pending: str = ""
