"""
What one version did between two looks, as numbers that checks count from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Drift:
    """
    How the answers of two versions to the same requests differed.

    Attributes:
        values: Numbers that were compared.
        total: The sum of their absolute differences.
        largest: The largest of them.
        rows: Rows of scores that were compared.
        flips: Those whose largest score stands elsewhere.
        here: Seconds for which stable's models ran.
        there: Seconds for which the canary's did.
        skipped: Requests of the sample that were not compared.

    """

    values: int = 0
    total: float = 0.0
    largest: float = 0.0
    rows: int = 0
    flips: int = 0
    here: float = 0.0
    there: float = 0.0
    skipped: int = 0

    def __add__(self, other: "Drift") -> "Drift":
        return Drift(
            self.values + other.values,
            _rounded(self.total + other.total),
            max(self.largest, other.largest),
            self.rows + other.rows,
            self.flips + other.flips,
            _rounded(self.here + other.here),
            _rounded(self.there + other.there),
            self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        told = []
        if self.values:
            told.append(
                f"largest difference {self.largest:.3g}, mean {self.total / self.values:.3g}"
            )
        if self.rows:
            told.append(f"{self.flips} of {self.rows} classes flipped")
        if self.here > 0:
            told.append(f"{self.there / self.here:.2f} times stable's latency")
        if self.skipped:
            told.append(f"{self.skipped} requests skipped")
        return "; ".join(told)


def _rounded(value: float) -> float:
    """
    Keep what a status has room for.
    """
    return float(f"{value:.6g}")


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
        mirrored: Requests to the other version that it was asked, too.
        drifted: Those of them that it answered otherwise.
        drift: How its answers differed; None where nothing was compared.

    """

    attempts: int = 0
    faults: int = 0
    refused: int = 0
    answered: int = 0
    slow: Mapping[float, int] = field(default_factory=dict)
    mirrored: int = 0
    drifted: int = 0
    drift: Drift | None = None


NONE = Tally()
