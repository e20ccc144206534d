"""
Actions are handled once, reach only the revision that they name, and are refused with a reason.
"""

from dataclasses import replace

import pytest

from modeldeploy_operator.rollout import actions
from modeldeploy_operator.rollout.actions import Action
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory, Outcome, Rejected, Undo
from modeldeploy_operator.rollout.snapshot import Snapshot
from testkit.objects import NOW
from testkit.world import revision, steps_of

WANTED = Wanted(revision("v2"), 2, steps_of(10, approval=True))
CANARY = Canary(revision("v2"), 0, "", NOW)
UNDER_WAY = Memory(stable=revision("v1"), canary=CANARY)
SEEN = Snapshot(kept={"v1": "1"})


def _obey(text: str, memory: Memory = UNDER_WAY) -> Memory:
    return actions.obey(replace(WANTED, action=text), memory, SEEN)[0]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("promote@7f3c9", Action("promote", "7f3c9", None)),
        ("approve@7f3c9/2", Action("approve", "7f3c9", 2)),
        ("promote-full@v2#again and again", Action("promote-full", "v2", None)),
        ("promote@7f3c9/2#2", Action("promote", "7f3c9", 2)),
        ("promote", None),
        ("promote@", None),
        ("promote@v2/x", None),
        ("Promote@v2", None),
        ("", None),
    ],
)
def test_an_action_has_one_form(text: str, action: Action | None) -> None:
    """
    VERB@REVISION[/STEP][#TOKEN] is read; anything else is no action.
    """
    assert actions.parse(text) == action


def test_an_action_is_handled_once() -> None:
    """
    The annotation stays where it is; what was handled is not handled again.
    """
    once = _obey("approve@v2/1")
    assert once.canary is not None
    assert once.canary.approved
    again = replace(once, canary=replace(once.canary, approved=False))
    assert _obey("approve@v2/1", again) == again


def test_a_token_asks_anew() -> None:
    """
    The same order with another token is another order.
    """
    once = _obey("retry@v2#1", Memory(rejected=Rejected("v2", "Aborted", "")))
    twice = replace(once, rejected=Rejected("v2", "Aborted", ""))
    assert _obey("retry@v2#2", twice).rejected is None


def test_acceptance_and_refusal_are_told() -> None:
    """
    An accepted action is an event; a refused one is a warning and stays readable in the memory.
    """
    memory, notes = actions.obey(replace(WANTED, action="approve@v2"), UNDER_WAY, SEEN)
    assert [(note.reason, note.warning) for note in notes] == [("ActionAccepted", False)]
    assert memory.refusal == ""
    memory, notes = actions.obey(replace(WANTED, action="approve@v9"), UNDER_WAY, SEEN)
    assert [(note.reason, note.warning) for note in notes] == [("ActionRefused", True)]
    assert "names revision v9, and the canary is v2" in memory.refusal


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "not of the form"),
        ("explode@v2", "There is no action 'explode'; the actions are abort, approve, promote"),
        ("promote@v2/2", "names step 2, and the canary is at step 1"),
        ("promote-full@v1", "names revision v1"),
        ("abort@v1", "names revision v1"),
        ("retry@v2", "revision v2 is not an aborted one"),
        ("undo@v7", "revision v7 is not among the kept ones"),
    ],
)
def test_a_refusal_says_why(text: str, why: str) -> None:
    """
    A wrong order changes nothing but the refusal, which says what was wrong.
    """
    refused = _obey(text)
    assert why in refused.refusal
    assert replace(refused, refusal="", handled_action="") == UNDER_WAY


@pytest.mark.parametrize("verb", ["approve", "promote", "promote-full", "abort"])
def test_without_a_canary_there_is_nothing_to_order(verb: str) -> None:
    """
    Orders about a canary are refused when none is under way, or when it is being taken back.
    """
    assert "no canary is under way" in _obey(f"{verb}@v2", Memory(stable=revision("v1"))).refusal
    leaving = actions.withdraw(UNDER_WAY, Outcome.SUPERSEDED, "Superseded", "")
    assert "no canary is under way" in _obey(f"{verb}@v2", leaving).refusal


def test_an_approval_needs_a_step_that_asks() -> None:
    """
    A step without `approval` refuses one.
    """
    last = replace(UNDER_WAY, canary=replace(CANARY, step=1))
    assert "step 2 asks for none" in _obey("approve@v2", last).refusal


def test_promotions_mark_the_canary() -> None:
    """
    `promote` ends the present step, `promote-full` the whole trial.
    """
    assert _obey("promote@v2").canary == replace(CANARY, released=True)
    assert _obey("promote-full@v2").canary == replace(CANARY, full=True)


def test_an_abort_rejects_the_revision_until_a_retry() -> None:
    """
    An aborted revision is not tried again before somebody says retry.
    """
    aborted = _obey("abort@v2")
    assert aborted.canary is not None
    assert aborted.canary.withdrawal is not None
    assert aborted.canary.withdrawal.outcome is Outcome.ABORTED
    assert aborted.rejected == Rejected("v2", "Aborted", "The rollout was aborted by hand.")
    assert _obey("retry@v2", aborted).rejected is None


def test_an_undo_runs_a_kept_revision() -> None:
    """
    `undo` names what to run and instead of what; naming the wanted revision ends it.
    """
    undone = _obey("undo@v1")
    assert undone.undo == Undo(to=replace(revision("v1"), version="1"), instead_of="v2")
    assert _obey("undo@v2", undone).undo is None


def test_nothing_is_withdrawn_where_nothing_is_tried() -> None:
    """
    Without a canary a withdrawal changes nothing.
    """
    assert actions.withdraw(Memory(), Outcome.ABORTED, "Aborted", "") == Memory()
