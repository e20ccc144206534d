"""
Steps end with all the traffic, and an edit of them is noticed and followed.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.rollout.memory import Canary
from modeldeploy_operator.rollout.strategy import steps
from modeldeploy_operator.rollout.strategy.steps import FINAL, Step
from testkit.objects import NOW
from testkit.world import revision, steps_of

STEPS = st.lists(st.builds(Step, st.integers(0, 10_000), st.floats(0, 60), st.booleans()))


def test_no_steps_mean_the_final_one() -> None:
    """
    Without steps, everything comes at once.
    """
    assert steps.complete([]) == (FINAL,)


def test_a_last_step_of_everything_stays_the_last() -> None:
    """
    Steps that end with all the traffic, perhaps with a hold or an approval, get no other end.
    """
    written = [Step(1_000), Step(10_000, approval=True)]
    assert steps.complete(written) == tuple(written)


@given(STEPS)
def test_every_rollout_ends_with_all_the_traffic(written: list[Step]) -> None:
    """
    Whatever was written, the last step is one of 100 percent, and completing twice changes nothing.
    """
    complete = steps.complete(written)
    assert complete[-1].weight == 10_000
    assert complete[: len(written)] == tuple(written)
    assert steps.complete(complete) == complete


def test_a_canary_goes_on_at_the_last_step_not_above_its_weight() -> None:
    """
    With steps of 10, 25 and 50 percent, 30 percent is the second step and 5 percent the first.
    """
    written = steps_of(10, 25, 50)
    assert steps.matching(written, 3_000) == 1
    assert steps.matching(written, 500) == 0
    assert steps.matching(written, 10_000) == 3


@given(STEPS, st.integers(0, 10_000))
def test_the_matching_step_never_raises_the_weight(written: list[Step], weight: int) -> None:
    """
    The matching step is within the list, and above the weight only if all before it are.
    """
    complete = steps.complete(written)
    index = steps.matching(complete, weight)
    assert 0 <= index < len(complete)
    assert complete[index].weight <= weight or all(step.weight > weight for step in complete)


def test_fingerprints_are_kept_for_ever() -> None:
    """
    A fingerprint stands in statuses, so an upgrade of the operator must not change it.
    """
    assert steps.fingerprint(steps_of(10, 50, hold=2)) == "de83f8d087"


@given(STEPS, STEPS)
def test_an_edit_changes_the_fingerprint(one: list[Step], other: list[Step]) -> None:
    """
    Different steps have different fingerprints, equal steps equal ones.
    """
    assert (steps.fingerprint(one) == steps.fingerprint(other)) == (one == other)


def test_a_step_keeps_its_place_when_others_are_edited() -> None:
    """
    Where the step at the canary's place still has its weight, nothing but the fingerprint changes.
    """
    canary = Canary(revision("v2"), 0, "before", NOW, step_weight=100, approved=True)
    edited = (Step(100), Step(5_000), FINAL)
    followed = steps.follow_edit(canary, edited, 100)
    assert followed == replace(canary, steps_hash=steps.fingerprint(edited))
    assert steps.follow_edit(followed, edited, 100) is followed
    elsewhere = steps.follow_edit(replace(canary, step_weight=700), edited, 6_000)
    assert (elsewhere.step, elsewhere.step_weight, elsewhere.approved) == (1, 5_000, False)


def test_a_step_may_have_more_pods_than_traffic() -> None:
    """
    The pods are those of the weight, unless the step has a size of its own.
    """
    assert Step(2_500).pods(4) == 1
    assert Step(0, size=10_000).pods(4) == 4
