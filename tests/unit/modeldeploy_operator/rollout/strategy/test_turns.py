"""
Turns: both pools stay within what there is room for, and every way has an end.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.rollout import weights
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.snapshot import Pool
from modeldeploy_operator.rollout.strategy import turns
from modeldeploy_operator.rollout.strategy.steps import FINAL, Step
from modeldeploy_operator.rollout.strategy.turns import Both, Turn
from testkit.world import revision

SCARCE = Wanted(revision("v2"), 4, (FINAL,), surge=1)
FULL = replace(SCARCE, surge=None)
HALF = Step(5_000)


def _both(stable: int, canary: int, share: int, *, confirmed: bool = True) -> Both:
    return Both(Pool(stable, stable), Pool(canary, canary), share, confirmed, stable)


def _plan(wanted: Wanted, step: Step, both: Both, *, shrunk: bool = False) -> Turn:
    return turns.plan(wanted, step, both, shrunk=shrunk)


def test_with_full_capacity_a_step_is_one_turn() -> None:
    """
    The canary gets all the step's pods at once, and stable keeps its own, however many there are.
    """
    assert _plan(FULL, HALF, _both(4, 0, 0)) == Turn(5_000, 2, 4, 2)
    assert _plan(FULL, HALF, _both(6, 2, 5_000)) == Turn(5_000, 2, 6, 2)
    assert _plan(FULL, HALF, _both(1, 0, 0)) == Turn(5_000, 2, 4, 2)


def test_scarce_pods_and_traffic_take_turns() -> None:
    """
    One more pod, then its share, then one pod less of stable's.
    """
    assert _plan(SCARCE, HALF, _both(4, 0, 0)) == Turn(2_500, 1, 4, 1)
    assert _plan(SCARCE, HALF, _both(4, 1, 2_500, confirmed=False)) == Turn(2_500, 1, 4, 1)
    assert _plan(SCARCE, HALF, _both(4, 1, 2_500)) == Turn(2_500, 1, 3, 1)
    assert _plan(SCARCE, HALF, _both(3, 1, 2_500)) == Turn(5_000, 2, 3, 2)
    assert _plan(SCARCE, HALF, _both(3, 2, 5_000)) == Turn(5_000, 2, 2, 2)


def test_the_way_back_is_the_same_in_the_other_direction() -> None:
    """
    What stable's ready pods carry goes back to them, then a canary pod goes, then stable has room.
    """
    back = turns.BACK
    assert _plan(SCARCE, back, _both(2, 3, 7_500), shrunk=True) == Turn(5_000, 1, 2, 3)
    assert _plan(SCARCE, back, _both(2, 3, 5_000, confirmed=False), shrunk=True).canary == 3
    assert _plan(SCARCE, back, _both(2, 3, 5_000), shrunk=True) == Turn(5_000, 1, 2, 2)
    assert _plan(SCARCE, back, _both(2, 2, 5_000), shrunk=True) == Turn(5_000, 1, 3, 2)
    assert _plan(SCARCE, back, _both(4, 1, 2_500), shrunk=True) == Turn(0, 1, 4, 1)


def test_a_stable_pool_that_never_shrank_takes_everything_back_at_once() -> None:
    """
    Its pods are there; the canary's stay until the weight is confirmed.
    """
    assert _plan(FULL, turns.BACK, _both(4, 2, 5_000)) == Turn(0, 1, 4, 2)


def test_fewer_wanted_replicas_make_room_by_themselves() -> None:
    """
    Where stable has more pods than fit, no canary pod starts before it has given some up.
    """
    assert _plan(replace(SCARCE, replicas=2), FINAL, _both(4, 0, 0)) == Turn(0, 1, 2, 0)


def test_a_canary_that_answers_everything_gets_all_the_room() -> None:
    """
    With full capacity that is every pod, with scarce pods what stable's leave.
    """
    both = _both(4, 1, 10_000)
    assert turns.relieve(FULL, Turn(1_000, 1, 4, 1), both).canary == 4
    assert turns.relieve(SCARCE, Turn(1_000, 1, 4, 1), _both(3, 1, 10_000)).canary == 1
    assert turns.relieve(SCARCE, Turn(1_000, 1, 3, 1), _both(3, 1, 10_000)).canary == 2


def test_the_last_share_is_for_all_the_pods_only() -> None:
    """
    A canary that has all the traffic in an emergency still needs all the pods for the last step.
    """
    assert _plan(SCARCE, FINAL, _both(4, 1, 10_000)) == Turn(10_000, 4, 1, 1)


SIZES = st.integers(1, 40)


@given(SIZES, st.integers(1, 5), st.integers(0, 10_000))
def test_every_way_has_an_end_and_no_turn_asks_for_too_many_pods(
    size: int, surge: int, weight: int
) -> None:
    """
    From 0 to any share and back again, the pods stay within replicas + surge at every turn.
    """
    wanted = replace(SCARCE, replicas=size, surge=surge)
    stable, canary, share, step = size, 0, 0, Step(weight)
    shrunk = False
    for goal in (step, turns.BACK):
        for _ in range(6 * size + 6):
            both = _both(stable, canary, share)
            turn = _plan(wanted, goal, both, shrunk=shrunk)
            assert turn.stable + turn.canary <= size + surge
            assert turn.stable >= 1
            shrunk = shrunk or turn.stable < size
            if turn.weight > share:
                moved = canary >= turn.need
                assert not moved or canary >= weights.canary_replicas(turn.weight, size)
                share = turn.weight if moved else share
            elif turn.weight < share:
                share = turn.weight
            stable, canary = turn.stable, turn.canary
            if share == goal.weight and canary >= goal.pods(size):
                break
        assert share == goal.weight
