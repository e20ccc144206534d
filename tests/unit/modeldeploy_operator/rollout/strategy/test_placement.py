"""
Placement: in which pods a revision is to live, and by which schedule it gets there.
"""

from dataclasses import replace

import pytest

from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory, Revision
from modeldeploy_operator.rollout.snapshot import Pool, Snapshot
from modeldeploy_operator.rollout.strategy import placement, schedules
from modeldeploy_operator.rollout.strategy.steps import Step
from modeldeploy_operator.rollout.weights import FULL
from testkit.objects import NOW

IN_PLACE = schedules.in_place([Step(1_000)], surge=2)
STABLE = Revision("r1", "1", shared="pr1")
MOULDS = Snapshot(moulds={"r1": "one", "r3": "other"})
WANTED = Wanted(
    Revision("r2", "2"), 2, IN_PLACE.steps, otherwise=IN_PLACE.otherwise, mould="one", preview=True
)


def home(wanted: Wanted, memory: Memory, seen: Snapshot = MOULDS) -> str:
    """
    Place the wanted revision.
    """
    return placement.place(wanted.revision, wanted, memory, seen).shared


def test_a_first_revision_gets_pods_that_can_be_shared() -> None:
    """
    They are named after it; without InPlace it has pods of its own.
    """
    assert home(WANTED, Memory()) == "pr2"
    assert home(replace(WANTED, otherwise=None), Memory()) == ""


def test_another_version_moves_into_stables_pods() -> None:
    """
    It must differ in nothing else, and the stable pods must be of the kind that can be shared.
    """
    assert home(WANTED, Memory(stable=STABLE)) == "pr1"
    assert home(replace(WANTED, mould="other"), Memory(stable=STABLE)) == "pr2"
    assert home(WANTED, Memory(stable=Revision("r1", "1"))) == "pr2"


def test_the_same_version_with_another_digest_gets_other_pods() -> None:
    """
    A pod cannot hold one version twice; the pods' own name is not given twice, either.
    """
    same = replace(WANTED, revision=Revision("r2", "1"))
    assert home(same, Memory(stable=STABLE)) == "pr2"
    assert home(same, Memory(stable=replace(STABLE, shared="pr2"))) == ""


def test_an_undo_is_placed_by_what_is_kept_of_it() -> None:
    """
    A kept revision of other pods does not move into these.
    """
    other = placement.place(Revision("r3", "3"), WANTED, Memory(stable=STABLE), MOULDS)
    assert other.shared == "pr3"
    fits = Snapshot(moulds={"r1": "one", "r3": "one"})
    assert placement.place(Revision("r3", "3"), WANTED, Memory(stable=STABLE), fits).shared == "pr1"


def test_what_lives_somewhere_stays_there() -> None:
    """
    Neither another strategy nor another stable revision moves a revision that runs.
    """
    canary = Canary(Revision("r2", "2", shared="pr9"), 0, "", started_at=NOW)
    assert home(WANTED, Memory(stable=STABLE, canary=canary)) == "pr9"
    assert home(replace(WANTED, revision=STABLE), Memory(stable=STABLE)) == "pr1"
    runs = Snapshot(pools={"r2": Pool(2, 2)}, moulds=MOULDS.moulds)
    assert home(WANTED, Memory(stable=STABLE), runs) == ""


@pytest.mark.parametrize("otherwise", [None, IN_PLACE.otherwise])
def test_together_every_step_needs_all_the_pods(otherwise: schedules.Schedule | None) -> None:
    """
    Whatever the strategy says by now: no further pods, and no preview of pods that are stable's.
    """
    wanted = replace(WANTED, otherwise=otherwise, surge=1)
    fitted = placement.fit(wanted, Memory(stable=STABLE), replace(STABLE, revision="r2"))
    assert [step.size for step in fitted.steps] == [FULL, FULL]
    assert [step.weight for step in fitted.steps] == [1_000, FULL]
    assert (fitted.surge, fitted.preview) == (None, False)


def test_apart_the_pods_are_replaced() -> None:
    """
    InPlace goes by Rolling then; every other strategy is what it is.
    """
    memory, goal = Memory(stable=STABLE), Revision("r2", "2", shared="pr2")
    fitted = placement.fit(WANTED, memory, goal)
    assert ([step.weight for step in fitted.steps], fitted.surge) == ([FULL], 2)
    canary = replace(WANTED, otherwise=None)
    assert placement.fit(canary, memory, goal) is canary


def test_a_third_version_waits_for_room_though_nothing_runs() -> None:
    """
    Scaled to zero in the middle of a change, pods hold two versions until routers have let go.
    """
    goal = Revision("r3", "3", shared="pr1")
    both = {"r1": Pool(1, 1, shared="pr1"), "r2": Pool(1, 1, shared="pr1")}
    assert placement.is_crowded(goal, Snapshot(both))
    assert not placement.is_crowded(goal, Snapshot({"r1": both["r1"], "r3": both["r2"]}))
    assert not placement.is_crowded(replace(goal, shared="pr3"), Snapshot(both))
    assert not placement.is_crowded(replace(goal, shared=""), Snapshot({"r1": Pool(1, 1)}))
