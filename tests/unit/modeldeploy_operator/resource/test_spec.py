"""
The spec: what a user may write, with which defaults, and what the rollout makes of it.
"""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modeldeploy_operator.analysis.checks import Check, Criteria, OnNoData
from modeldeploy_operator.analysis.kinds import ErrorRate, Latency
from modeldeploy_operator.resource.parts import DURATION_PATTERN, seconds
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.strategy.schedules import Schedule, blue_green
from modeldeploy_operator.rollout.strategy.steps import FINAL, Step
from testkit.objects import NOW, a_spec, a_spec_dict

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@pytest.mark.parametrize(
    ("written", "expected"),
    [("0s", 0), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5_400), ("10m", 600), ("1h1m1s", 3_661)],
)
def test_durations_are_written_as_go_writes_them(written: str, expected: float) -> None:
    """
    Numbers with units follow one another and add up.
    """
    assert seconds(written) == expected


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(list(UNITS))), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    """
    Whatever parts a duration has, in whatever order, their lengths add up.
    """
    written = "".join(f"{number}{unit}" for number, unit in parts)
    expected = sum(number * UNITS[unit] for number, unit in parts)
    assert seconds(written) == pytest.approx(expected)


def test_the_smallest_spec_has_its_defaults() -> None:
    """
    A uri and a version are enough.
    """
    spec = a_spec()
    assert spec.replicas == 1
    assert spec.traffic.router.replicas == 2
    assert spec.rollout.progress_deadline == "10m"
    assert spec.rollout.schedule().steps == (FINAL,)


def test_the_model_is_named_as_its_object() -> None:
    """
    The model's name is metadata.name unless another is written.
    """
    assert a_spec().model_name("mnist") == "mnist"
    named = ModelDeploymentSpec.model_validate({"model": {**a_spec_dict()["model"], "name": "m"}})
    assert named.model_name("mnist") == "m"


def test_steps_become_the_rollouts_own() -> None:
    """
    Weights become ten-thousandths, holds seconds, and the final step is added.
    """
    written = [{"weight": 1, "hold": "5m"}, {"weight": "0.5%", "approval": True}]
    steps = a_spec(rollout={"steps": written}).rollout.schedule().steps
    assert steps == (Step(100, 300.0), Step(50, 0.0, approval=True), FINAL)


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ({"steps": [{"weight": 10}], "capacity": "Scarce"}, Schedule((Step(1_000), FINAL), 1)),
        ({"capacity": "Scarce", "maxSurge": 2}, Schedule((FINAL,), 2)),
        ({"strategy": "Rolling"}, Schedule((FINAL,), 1)),
        ({"strategy": "Rolling", "maxSurge": 3}, Schedule((FINAL,), 3)),
        (
            {"strategy": "InPlace", "steps": [{"weight": 10}], "maxSurge": 2},
            Schedule((Step(1_000), FINAL), otherwise=Schedule((FINAL,), 2)),
        ),
        ({"strategy": "BlueGreen"}, blue_green(approval=False, hold=300)),
        (
            {"strategy": "BlueGreen", "blueGreen": {"approval": True, "hold": "1m"}},
            blue_green(approval=True, hold=60),
        ),
    ],
)
def test_a_strategy_becomes_a_schedule(written: dict[str, Any], schedule: Schedule) -> None:
    """
    Each strategy is read into steps, a limit on pods, and a preview or none.
    """
    assert a_spec(rollout=written).rollout.schedule() == schedule


def test_checks_are_read_into_the_analysis_own_terms() -> None:
    """
    Percentages become shares, and durations seconds.
    """
    errors = {"name": "errors", "errorRate": {"max": "1%", "maxIncrease": "0.5%"}}
    slow = {"name": "slow", "latency": {"max": "200ms", "share": 1}}
    analysis = {"checks": [errors, slow], "interval": "10s", "onNoData": "Rollback"}
    rollout = {"steps": [{"weight": 10}], "analysis": analysis, "onFailure": "Pause"}
    assert a_spec(rollout=rollout).rollout.criteria() == Criteria(
        (
            Check("errors", ErrorRate(0.01, 0.005)),
            Check("slow", Latency(0.2, share=0.01)),
        ),
        interval=10,
        min_requests=200,
        on_no_data=OnNoData.ROLLBACK,
        pauses=True,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"autoscaling": {}},
        {"replicas": -1},
        {"replicas": "many"},
        {"rollout": {"strategy": "Blue"}},
        {"rollout": {"analysis": {"checks": [{"name": "a", "shadow": {}}]}}},
        {"rollout": {"analysis": {"onNoData": "Perhaps"}}},
        {"rollout": {"analysis": {"checks": [{"name": "no-kind"}]}}},
        {"model": {"uri": "s3://models/mnist"}},
        {"model": {"uri": "s3://models/mnist", "version": 1, "digest": "md5:1"}},
        {"traffic": {"router": {"replicas": 0}}},
    ],
)
def test_what_the_spec_does_not_know_is_refused(changes: dict[str, Any]) -> None:
    """
    Nothing is accepted and ignored: unknown fields and wrong values are errors.
    """
    with pytest.raises(ValidationError):
        a_spec(**changes)


def test_every_duration_that_is_accepted_can_be_reckoned_with() -> None:
    """
    A hold that the schema accepts has an end, and a longer one is refused.
    """
    with pytest.raises(ValidationError, match="at most 720h"):
        a_spec(rollout={"steps": [{"weight": 1, "hold": "99999999h"}]})
    longest = "720h"
    assert re.match(DURATION_PATTERN, longest)
    assert NOW + timedelta(seconds=seconds(longest)) > NOW
