"""
Each strategy is a few values, and nothing else tells them apart.
"""

from modeldeploy_operator.rollout.strategy import schedules
from modeldeploy_operator.rollout.strategy.schedules import Schedule
from modeldeploy_operator.rollout.strategy.steps import FINAL, Step


def test_a_canary_takes_its_steps_and_then_everything() -> None:
    """
    The final step is added; a limit on pods goes with it.
    """
    assert schedules.canary([Step(1_000)]) == Schedule((Step(1_000), FINAL))
    assert schedules.canary([], surge=2) == Schedule((FINAL,), 2)


def test_blue_green_runs_all_the_pods_before_it_has_traffic() -> None:
    """
    Its first step has no traffic and every pod, its second everything; it has an address.
    """
    schedule = schedules.blue_green(approval=True, hold=60)
    assert schedule == Schedule(
        (Step(0, approval=True, size=10_000), Step(10_000, hold=60)), preview=True
    )
    assert [step.pods(4) for step in schedule.steps] == [4, 4]


def test_rolling_is_one_step_with_a_limit_on_pods() -> None:
    """
    The traffic follows the pods, as there is no step to stop at.
    """
    assert schedules.rolling(1) == Schedule((FINAL,), 1)
