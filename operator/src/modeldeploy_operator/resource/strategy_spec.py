"""
What a user may write about a strategy, and what the rollout makes of it.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from modeldeploy_operator.resource.parts import Duration, Part, rule_of, seconds
from modeldeploy_operator.rollout.strategy import schedules
from modeldeploy_operator.rollout.strategy.schedules import Schedule
from modeldeploy_operator.rollout.strategy.steps import Step

Strategy = Literal["Canary", "BlueGreen", "Rolling", "InPlace"]
Capacity = Literal["Full", "Scarce"]

DEFAULT_SURGE = 1


class BlueGreen(Part):
    """
    How a BlueGreen rollout switches.
    """

    approval: bool = Field(
        default=False,
        description="Whether a person must approve the switch, once all the pods are ready.",
    )
    hold: Duration = Field(
        "5m",
        description="How long the old pods are kept after the switch, so that the way back needs "
        "no new pods. Promotion comes after it.",
    )


_CHECKS = (
    "has(self.analysis) && has(self.analysis.checks) && "
    "self.analysis.checks.exists(check, !has(check.job) && !has(check.replay))"
)
"""Those that a Job makes before any traffic judge no step."""
_JUDGED = (
    "self.strategy in ['Canary', 'InPlace'] ? has(self.steps) && size(self.steps) > 0 : "
    "self.strategy == 'BlueGreen' && (!has(self.blueGreen) || !has(self.blueGreen.hold) || "
    "duration(self.blueGreen.hold) > duration('0s'))"
)

RULES = (
    (
        f"!({_CHECKS}) || ({_JUDGED})",
        (
            "analysis.checks judge the steps of Canary or InPlace, so that there must be one, or a "
            "BlueGreen's hold, which must be longer than 0s; without either only job and replay can"
        ),
    ),
    (
        "self.strategy in ['Canary', 'InPlace'] || !has(self.steps) || size(self.steps) == 0",
        "steps are for the strategies Canary and InPlace; take them out, or set one of them",
    ),
    (
        "self.strategy == 'BlueGreen' || !has(self.blueGreen)",
        "blueGreen is for the strategy BlueGreen alone; take it out, or set strategy to BlueGreen",
    ),
    (
        "self.strategy == 'Canary' || !has(self.capacity) || self.capacity == 'Full'",
        "capacity Scarce is for the strategy Canary alone; Rolling always goes pod by pod",
    ),
    (
        (
            "!has(self.maxSurge) || self.strategy in ['Rolling', 'InPlace'] || "
            "(has(self.capacity) && self.capacity == 'Scarce')"
        ),
        (
            "maxSurge is for the strategy Rolling, for what InPlace does by Rolling, and for "
            "capacity Scarce; elsewhere stable keeps all of its pods"
        ),
    ),
    (
        (
            "self.strategy != 'InPlace' || !has(self.analysis) || !has(self.analysis.checks) || "
            "!self.analysis.checks.exists(check, "
            "has(check.job) || has(check.replay) || has(check.shadow))"
        ),
        (
            "the checks job, replay and shadow ask pods that hold the new version alone, which "
            "InPlace has not; take another strategy, or other checks"
        ),
    ),
)
"""What belongs to which strategy, as rules of `spec.rollout`."""

_IN_PLACE = (
    "(has(self.rollout) && has(self.rollout.strategy) && self.rollout.strategy == 'InPlace')"
)
IN_PLACE_RULES = [
    rule_of(
        f"!{_IN_PLACE} || !(has(self.server) && has(self.server.image))",
        "rollout.strategy InPlace needs the operator's own runtime, which is told the version of "
        "each request; leave server.image out, or take another strategy",
    ),
    rule_of(
        f"!{_IN_PLACE} || !(has(self.model.keepVersions) && self.model.keepVersions > 0 || "
        "has(self.model.alsoServe) && size(self.model.alsoServe) > 0)",
        "rollout.strategy InPlace holds the stable version and the one that is tried in one pod, "
        "and no others; leave model.keepVersions and model.alsoServe out",
    ),
    rule_of(
        f"!{_IN_PLACE} || !has(self.model.cache)",
        "the pods of rollout.strategy InPlace keep their versions in volumes of their own; leave "
        "model.cache out, or take another strategy",
    ),
    rule_of(
        f"!{_IN_PLACE} || !(has(self.traffic) && has(self.traffic.provider) && "
        "self.traffic.provider == 'Gateway')",
        "a Gateway cannot tell two versions in one pod apart: take traffic.provider Router, with "
        "or without traffic.gateway, or another strategy than InPlace",
    ),
]
"""What InPlace does not go with, said for the whole spec."""


def schedule_of(
    strategy: Strategy,
    steps: Sequence[Step],
    blue_green: BlueGreen | None,
    capacity: Capacity,
    max_surge: int | None,
) -> Schedule:
    """
    Turn what was written into the rollout's own terms.
    """
    surge = max_surge or DEFAULT_SURGE
    if strategy == "Rolling":
        return schedules.rolling(surge)
    if strategy == "InPlace":
        return schedules.in_place(steps, surge)
    if strategy == "BlueGreen":
        switch = blue_green or BlueGreen.model_validate({})
        return schedules.blue_green(approval=switch.approval, hold=seconds(switch.hold))
    return schedules.canary(steps, surge if capacity == "Scarce" else None)
