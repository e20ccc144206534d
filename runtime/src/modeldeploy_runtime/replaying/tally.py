"""What a replay found, and how it says so: pure."""

import json
from dataclasses import dataclass, replace

from modeldeploy_runtime.tensors.comparing import SAME, Comparison

REPLAYED, NO_RECORDS, UNREACHABLE = "Replayed", "NoRecords", "TargetUnreachable"
# Kubernetes keeps no more of a termination message.
MAX_BYTES = 4096
_SENTENCE = 1000


@dataclass(frozen=True, slots=True)
class Tally:
    """
    Recorded requests that were sent again.

    ``failed`` are those answered with an error, which also count as ``mismatched``; ``skipped`` are
    records of other models and kinds, and those that cannot be read.
    """

    compared: int = 0
    mismatched: int = 0
    failed: int = 0
    skipped: int = 0
    difference: Comparison = SAME
    example: str = ""

    def add(self, difference: Comparison) -> "Tally":
        """Count an answer that was compared."""
        return replace(
            self,
            compared=self.compared + 1,
            mismatched=self.mismatched + (not difference.matches),
            difference=self.difference + difference,
            example=self.example or difference.why,
        )

    def fail(self, why: str) -> "Tally":
        """Count an answer that was an error."""
        return replace(
            self,
            compared=self.compared + 1,
            mismatched=self.mismatched + 1,
            failed=self.failed + 1,
            example=self.example or why,
        )

    def skip(self) -> "Tally":
        """Count a record that cannot be compared."""
        return replace(self, skipped=self.skipped + 1)

    @property
    def mean(self) -> float:
        """The mean difference of two numbers."""
        return self.difference.total / self.difference.values if self.difference.values else 0.0

    def sentence(self) -> str:
        """Say everything to a person."""
        found = self.difference
        share = f" ({self.mismatched / self.compared:.2%})" if self.compared else ""
        such = f", such as: {self.example}" if self.example else ""
        return (
            f"{self.mismatched} of {self.compared} recorded requests were answered otherwise"
            f"{share}{such}. Numbers differ by at most {found.largest:.6g}, by {self.mean:.6g} in "
            f"the mean; {found.flips} of {found.rows} rows changed their class; {self.skipped} "
            "records were skipped."
        )


def report(code: str, message: str, tally: Tally = Tally()) -> str:
    """Write one JSON object that fits a termination message."""
    short = message if len(message) <= _SENTENCE else f"{message[: _SENTENCE - 1]}…"
    text = _object(code, short, tally)
    if len(text.encode()) > MAX_BYTES:
        text = _object(code, short[: _SENTENCE // 4], tally)
    return text


def _object(code: str, message: str, tally: Tally) -> str:
    found = tally.difference
    return json.dumps(
        {
            "code": code,
            "message": message,
            "compared": tally.compared,
            "mismatched": tally.mismatched,
            "failed": tally.failed,
            "skipped": tally.skipped,
            "flips": found.flips,
            "rows": found.rows,
            "largest": _number(found.largest),
            "mean": _number(tally.mean),
        }
    )


def _number(value: float) -> float:
    return float(f"{value:.6g}")
