"""
Each gate passes or says in one sentence what it waits for.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from modeldeploy_operator.rollout import gates
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.gates import AFTER_WEIGHT, BEFORE_WEIGHT, Blocked, Trial
from modeldeploy_operator.rollout.memory import Canary
from modeldeploy_operator.rollout.snapshot import Failure, Pool, Router, Snapshot
from modeldeploy_operator.rollout.strategy.steps import Step
from modeldeploy_operator.rollout.strategy.turns import Turn
from testkit.objects import NOW
from testkit.world import revision

STEP = Step(1_000, hold=60, approval=True)
CANARY = Canary(revision("v2"), 0, "", NOW, step_started_at=NOW)


def _trial(pool: Pool | None = None, up: int = 2, **changes: object) -> Trial:
    trial = Trial(
        wanted=Wanted(revision("v2"), 4, (STEP,)),
        canary=CANARY,
        step=STEP,
        turn=Turn(weight=STEP.weight, need=2, stable=4, canary=2),
        share=0,
        seen=Snapshot({"v2": pool or Pool(2, 2)}, routers=(Router(1, {"v2": up}),)),
        now=NOW,
    )
    return replace(trial, **changes)  # type: ignore[arg-type]  # mypy cannot follow the names


@pytest.mark.parametrize("stage", list(gates.STAGES))
def test_a_stage_says_how_many_pods_are_ready_and_why_not_more(stage: str) -> None:
    """
    While pods are missing, the gate is the stage that they are at, and names their trouble.
    """
    pool = Pool(2, 1, Failure("X", "the disk is full"), stage)
    blocked = gates.first_blocked(BEFORE_WEIGHT, _trial(pool))
    assert blocked == Blocked(
        stage,
        f"Waiting until {gates.STAGES[stage]}; 1 of 2 canary pods are ready: the disk is full.",
    )


def test_a_pool_that_does_not_exist_awaits_its_pods() -> None:
    """
    Before the Deployment exists the canary waits for pods.
    """
    blocked = gates.first_blocked(BEFORE_WEIGHT, _trial(seen=Snapshot()))
    assert blocked == Blocked(
        "AwaitingPods", "Waiting until pods become ready; 0 of 2 canary pods are ready."
    )


def test_every_router_must_find_the_pods_healthy() -> None:
    """
    Ready pods are not enough: the routers' own health checks decide.
    """
    blocked = gates.first_blocked(BEFORE_WEIGHT, _trial(up=1))
    assert blocked is not None
    assert blocked.gate == "AwaitingRouters"
    assert blocked.message.endswith("2 canary pods healthy; 1 are.")
    nobody = Snapshot({"v2": Pool(2, 2)})
    blocked = gates.first_blocked(BEFORE_WEIGHT, _trial(seen=nobody))
    assert blocked == Blocked(
        "AwaitingRouters", "No router is ready, so that no request reaches a pod."
    )


def test_a_pause_stops_more_weight_and_no_less() -> None:
    """
    A paused rollout keeps its share; only more of it is held back.
    """
    paused = Wanted(revision("v2"), 4, (STEP,), paused=True)
    blocked = gates.first_blocked(BEFORE_WEIGHT, _trial(wanted=paused, share=500))
    assert blocked == Blocked("Paused", "The rollout is paused at 5%.")
    assert gates.first_blocked(BEFORE_WEIGHT, _trial(wanted=paused, share=1_000)) is None
    after = gates.first_blocked(AFTER_WEIGHT, _trial(wanted=paused, share=1_000))
    assert after == Blocked("Paused", "The rollout is paused at 10%.")


def test_a_hold_is_over_after_its_time() -> None:
    """
    The hold runs from the moment at which the weight was effective.
    """
    early = gates.first_blocked(AFTER_WEIGHT, _trial(now=NOW + timedelta(seconds=59)))
    assert early == Blocked("Holding", "Holding 10% until 00:01:00 UTC.")
    late = gates.first_blocked(AFTER_WEIGHT, _trial(now=NOW + timedelta(seconds=60)))
    assert late is not None
    assert late.gate == "AwaitingApproval"


def test_an_approval_is_asked_for_with_the_words_that_give_it() -> None:
    """
    The message holds the annotation that approves this step.
    """
    trial = _trial(now=NOW + timedelta(seconds=60))
    blocked = gates.first_blocked(AFTER_WEIGHT, trial)
    assert blocked is not None
    assert blocked.message.endswith("serving.modeldeploy.io/action=approve@v2/1.")
    approved = replace(trial, canary=replace(CANARY, approved=True))
    assert gates.first_blocked(AFTER_WEIGHT, approved) is None


@pytest.mark.parametrize("order", [{"released": True}, {"full": True}])
def test_a_promotion_ends_hold_and_approval(order: dict[str, bool]) -> None:
    """
    `promote` and `promote-full` pass the gates that wait for time and for people.
    """
    trial = _trial()
    promoted = replace(trial, canary=replace(CANARY, **order))  # type: ignore[arg-type]  # bools
    assert gates.first_blocked(AFTER_WEIGHT, promoted) is None


def test_the_deadline_counts_for_pods_and_models_only() -> None:
    """
    Waiting for time or people never aborts a rollout.
    """
    named = {name for name, _ in (*BEFORE_WEIGHT, *AFTER_WEIGHT)}
    checks = {"CheckFailed", "CheckUnmeasured", "AwaitingChecks", "AwaitingRequests"}
    assert named - gates.CLOCKED == {"Paused", "Holding", "AwaitingApproval", *checks}


def test_a_hold_that_has_not_begun_has_no_end() -> None:
    """
    Before the weight is effective nobody can say when the hold ends.
    """
    assert _trial(canary=replace(CANARY, step_started_at=None)).hold_ends_at is None
