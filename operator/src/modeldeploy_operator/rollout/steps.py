"""
Steps: what a canary must pass, in order, and where it stands after somebody edits them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from modeldeploy_operator.rollout import weights


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step: a share of the traffic, how long it is held, and whether a person must approve.

    Attributes:
        weight: The canary's share in ten-thousandths.
        hold: Seconds for which the share is kept once it is effective.
        approval: Whether the step ends only after somebody approved it.

    """

    weight: int
    hold: float = 0.0
    approval: bool = False


FINAL = Step(weights.FULL)
"""The step that every rollout ends with: all traffic, all pods, then the promotion."""


def complete(steps: Sequence[Step]) -> tuple[Step, ...]:
    """
    Return the steps with the final one behind them, unless they end with all the traffic.
    """
    if steps and steps[-1].weight == weights.FULL:
        return tuple(steps)
    return (*steps, FINAL)


def fingerprint(steps: Sequence[Step]) -> str:
    """
    Hash the steps, so that an edit is noticed in mid-rollout.
    """
    canonical = json.dumps([asdict(step) for step in steps], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def matching(steps: Sequence[Step], weight: int) -> int:
    """
    Find where a canary goes on after its steps were edited: the last step not above its weight.

    With steps of 10, 25 and 50 percent, a canary at 30 percent goes on at the second step
    (index 1), one at 5 percent at the first (index 0).
    """
    below = [index for index, step in enumerate(steps) if step.weight <= weight]
    return below[-1] if below else 0
