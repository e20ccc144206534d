"""
Steps: what a canary must pass, in order, and where it stands after somebody edits them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from modeldeploy_operator.rollout import weights
from modeldeploy_operator.rollout.memory import Canary


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step: a share of the traffic, how long it is held, and whether a person must approve.

    Attributes:
        weight: The canary's share in ten-thousandths.
        hold: Seconds for which the share is kept once it is effective.
        approval: Whether the step ends only after somebody approved it.
        size: The share of the pods that it runs, where that is not the share of the traffic.

    """

    weight: int
    hold: float = 0.0
    approval: bool = False
    size: int | None = None

    def pods(self, replicas: int) -> int:
        """
        Count the pods that the step needs.
        """
        share = self.weight if self.size is None else self.size
        return weights.canary_replicas(share, replicas)


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
    told = [{k: v for k, v in asdict(step).items() if v is not None} for step in steps]
    canonical = json.dumps(told, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def matching(steps: Sequence[Step], weight: int) -> int:
    """
    Find where a canary goes on after its steps were edited: the last step not above its weight.

    With steps of 10, 25 and 50 percent, a canary at 30 percent goes on at the second step
    (index 1), one at 5 percent at the first (index 0).
    """
    below = [index for index, step in enumerate(steps) if step.weight <= weight]
    return below[-1] if below else 0


def follow_edit(canary: Canary, steps: Sequence[Step], share: int) -> Canary:
    """
    Go on at the matching step when only the steps were edited; nothing restarts.
    """
    edited = fingerprint(steps)
    if edited == canary.steps_hash:
        return canary
    index = min(canary.step, len(steps) - 1)
    if steps[index].weight == canary.step_weight:
        return replace(canary, step=index, steps_hash=edited)
    index = matching(steps, share)
    same = steps[index].weight == share
    return replace(
        canary,
        step=index,
        step_weight=steps[index].weight,
        steps_hash=edited,
        step_started_at=canary.step_started_at if same else None,
        approved=False,
        released=False,
    )
