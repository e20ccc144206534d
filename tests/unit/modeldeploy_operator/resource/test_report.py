"""
The report: conditions by kstatus' rules, weights that tell wish from fact, and sizes.
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from modeldeploy_operator.analysis.checks import Criteria
from modeldeploy_operator.analysis.external import External, Measurement, Source
from modeldeploy_operator.resource import report
from modeldeploy_operator.rollout.decide import decide
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import (
    CHAPTER_BYTES,
    Canary,
    Chapter,
    Memory,
    Outcome,
    Rejected,
    Undo,
    Withdrawal,
    clip,
)
from modeldeploy_operator.rollout.snapshot import Failure, Pool, Router, Routing, Snapshot
from modeldeploy_operator.rollout.strategy import steps
from testkit.objects import NOW
from testkit.world import Nature, World, a_world, revision, steps_of

STEPS = steps_of(10, hold=60)
WANTED = Wanted(revision("v2"), 2, STEPS)
STABLE = Memory(stable=revision("v1"))
CANARY = Canary(revision("v2"), 0, steps.fingerprint(STEPS), NOW)
ALL_V1 = Routing({"a": "v1"}, "v1")
TENTH = Routing({"a": "v1", "b": "v2"}, "v1", "v2", 1_000)


def _seen(routing: Routing | None, generation: int = 1, **ready: int) -> Snapshot:
    pools = {name: Pool(2, count) for name, count in ready.items()}
    return Snapshot(pools, routing, 1, (Router(generation, dict(ready)),))


def _status(
    wanted: Wanted, memory: Memory, seen: Snapshot, before: Any = None, now: datetime = NOW
) -> dict[str, Any]:
    """
    Decide, and report the decision.
    """
    about = {"generation": 3, "selector": "a=b", "url": "http://mnist.vision.svc:8501", "now": now}
    return report.build_status(decide(wanted, memory, seen, now), wanted, seen, before or {}, about)


def _told(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_a_steady_object_is_ready_and_nothing_else() -> None:
    """
    Stable serving: Ready and Promoted, and neither Reconciling nor Stalled.
    """
    status = _status(replace(WANTED, revision=revision("v1")), STABLE, _seen(ALL_V1, v1=2))
    assert _told(status) == {"Ready": ("True", "Serving"), "Promoted": ("True", "Promoted")}
    assert status["observedGeneration"] == 3
    assert "canary" not in status


def test_a_first_revision_is_reconciling_until_it_answers() -> None:
    """
    The first deployment is not ready, says what it waits for, and is under way.
    """
    assert _told(_status(WANTED, Memory(), Snapshot())) == {
        "Ready": ("False", "AwaitingPods"),
        "Promoted": ("False", "AwaitingPods"),
        "Reconciling": ("True", "AwaitingPods"),
    }


def test_a_first_revision_that_failed_for_good_is_stalled() -> None:
    """
    Nothing serves and waiting cannot help: not Ready, and Stalled instead of Reconciling.
    """
    failure = Failure("VersionNotFound", "no such version", permanent=True)
    told = _told(_status(WANTED, Memory(), Snapshot({"v2": Pool(1, 0, failure)})))
    assert told["Ready"] == ("False", "VersionNotFound")
    assert told["Stalled"] == ("True", "VersionNotFound")
    assert "Reconciling" not in told


@pytest.mark.requirement("row-14")
def test_a_canary_is_reconciling_while_stable_serves() -> None:
    """
    A canary that steps: Ready, and Reconciling with the gate as its reason.
    """
    status = _status(WANTED, replace(STABLE, canary=CANARY), _seen(TENTH, v1=2, v2=1))
    assert _told(status) == {
        "Ready": ("True", "Serving"),
        "Promoted": ("False", "Holding"),
        "Reconciling": ("True", "Holding"),
    }
    assert status["canary"] == {
        "revision": "v2",
        "version": "v2",
        "replicas": 1,
        "readyReplicas": 1,
        "weight": {"desired": "10%", "effective": "10%"},
        "step": 1,
        "steps": 2,
        "stepStartedAt": "2026-01-01T00:00:00Z",
        "nextStepAt": "2026-01-01T00:01:00Z",
    }
    assert status["stable"]["weight"] == {"desired": "90%", "effective": "90%"}


def test_waiting_for_a_person_is_reconciling() -> None:
    """
    An approval that is missing, and a pause, keep Reconciling with their own reasons.
    """
    asking = steps_of(10, approval=True)
    memory = replace(STABLE, canary=replace(CANARY, steps_hash=steps.fingerprint(asking)))
    seen = _seen(TENTH, v1=2, v2=1)
    told = _told(_status(replace(WANTED, steps=asking), memory, seen))
    assert told["Reconciling"] == ("True", "AwaitingApproval")
    paused = _told(_status(replace(WANTED, paused=True), replace(STABLE, canary=CANARY), seen))
    assert paused["Reconciling"] == ("True", "Paused")


def test_an_aborted_rollout_is_ready_and_stalled() -> None:
    """
    Aborted: stable serves, and nothing changes without a person.
    """
    memory = replace(STABLE, rejected=Rejected("v2", "Aborted", "by hand"))
    assert _told(_status(WANTED, memory, _seen(ALL_V1, v1=2))) == {
        "Ready": ("True", "Serving"),
        "Promoted": ("False", "Aborted"),
        "Stalled": ("True", "Aborted"),
    }


def test_an_undone_rollout_is_not_promoted() -> None:
    """
    What runs by undo is not what is wanted.
    """
    memory = replace(STABLE, undo=Undo(revision("v1"), "v2"))
    assert _told(_status(WANTED, memory, _seen(ALL_V1, v1=2)))["Promoted"] == ("False", "Undone")


def test_zero_replicas_are_ready() -> None:
    """
    Scaled to zero is what is wanted, so it is Ready with the reason Idle.
    """
    idle = replace(WANTED, revision=revision("v1"), replicas=0)
    assert _told(_status(idle, STABLE, _seen(ALL_V1)))["Ready"] == ("True", "Idle")


def test_a_stable_revision_without_pods_is_not_ready() -> None:
    """
    Ready says whether the service answers, by stable or by a canary that helps out.
    """
    steady = replace(WANTED, revision=revision("v1"))
    assert _told(_status(steady, STABLE, _seen(ALL_V1, v1=0)))["Ready"] == ("False", "AwaitingPods")
    trusted = replace(STABLE, canary=replace(CANARY, had_traffic=True))
    assert _told(_status(WANTED, trusted, _seen(TENTH, v1=0, v2=1)))["Ready"][0] == "True"


def test_a_refused_action_is_a_condition() -> None:
    """
    A refusal stays readable until the next action.
    """
    steady = replace(WANTED, revision=revision("v1"), action="promote@v9")
    status = _status(steady, STABLE, _seen(ALL_V1, v1=2))
    assert _told(status)["ActionRefused"] == ("True", "ActionRefused")
    assert status["lastHandledAction"] == "promote@v9"


def test_a_failing_router_is_a_condition() -> None:
    """
    A router that cannot start is told of while the others serve.
    """
    steady = replace(WANTED, revision=revision("v1"))
    seen = _seen(ALL_V1, v1=2)
    assert "RouterFailing" not in _told(_status(steady, STABLE, seen))
    failing = replace(seen, router_failure=Failure("ContainerFailed", "The container stopped."))
    told = _told(_status(steady, STABLE, failing))
    assert told["RouterFailing"] == ("True", "ContainerFailed")
    assert told["Ready"] == ("True", "Serving")


@pytest.mark.parametrize(
    ("code", "status"), [("RoutesAccepted", "True"), ("RoutesPending", "False")]
)
def test_what_gateways_say_is_a_condition(code: str, status: str) -> None:
    """
    It is there only where routes were asked for, and changes nothing about the others.
    """
    seen = replace(_seen(ALL_V1, v1=2), gateway=Failure(code, "It says so."))
    told = _told(_status(replace(WANTED, revision=revision("v1")), STABLE, seen))
    assert told.pop("RoutesAccepted") == (status, code)
    assert told == {"Ready": ("True", "Serving"), "Promoted": ("True", "Promoted")}


def test_effective_is_what_every_router_confirmed_last() -> None:
    """
    While routers lag, the effective weight is what was confirmed before.
    """
    memory = replace(STABLE, canary=CANARY)
    before = _status(WANTED, memory, _seen(ALL_V1, v1=2, v2=1))
    assert before["canary"]["weight"] == {"desired": "10%", "effective": "0%"}
    lagging = _status(WANTED, memory, _seen(TENTH, 0, v1=2, v2=1), before)
    assert lagging["canary"]["weight"] == {"desired": "10%", "effective": "0%"}
    assert lagging["stable"]["weight"] == {"desired": "90%", "effective": "100%"}
    unknown = _status(WANTED, memory, _seen(TENTH, 0, v1=2, v2=1))
    assert unknown["stable"]["weight"]["effective"] == "0%"
    confirmed = _status(WANTED, memory, _seen(TENTH, v1=2, v2=1), lagging)
    assert confirmed["canary"]["weight"] == {"desired": "10%", "effective": "10%"}


def test_observed_is_the_share_that_was_seen_last() -> None:
    """
    It stays until the next look, and goes with the canary.
    """
    memory, seen = replace(STABLE, canary=CANARY), _seen(TENTH, v1=2, v2=1)
    looked = _status(WANTED, memory, replace(seen, shares={"v1": 0.9049, "v2": 0.0951}))
    assert looked["canary"]["weight"]["observed"] == "9.51%"
    later = _status(WANTED, memory, seen, looked)
    assert later["stable"]["weight"] == looked["stable"]["weight"]
    steady = _status(WANTED, Memory(stable=revision("v2")), _seen(ALL_V1, v2=2), later)
    assert "observed" not in steady["stable"]["weight"]


def test_a_canary_past_its_last_step_shows_the_last() -> None:
    """
    A canary that was told to go all the way shows no hold and stays within the steps.
    """
    memory = replace(STABLE, canary=replace(CANARY, full=True))
    canary = _status(WANTED, memory, _seen(TENTH, v1=2, v2=1))["canary"]
    assert (canary["step"], canary["steps"]) == (1, 2)
    assert "nextStepAt" not in canary


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    """
    LastTransitionTime changes with the status only, not with the reason or the message.
    """
    memory = replace(STABLE, canary=CANARY)
    first = _status(WANTED, memory, _seen(ALL_V1, v1=2, v2=0))
    later = NOW + timedelta(seconds=90)
    second = _status(WANTED, memory, _seen(ALL_V1, v1=0, v2=0), first, later)
    times = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert times["Reconciling"] == "2026-01-01T00:00:00Z"
    assert times["Ready"] == "2026-01-01T00:01:30Z"


def test_the_same_decision_makes_the_same_status() -> None:
    """
    A second look at an unchanged object reports the same, so nothing is written.
    """
    steady = replace(WANTED, revision=revision("v1"))
    first = _status(steady, STABLE, _seen(ALL_V1, v1=2))
    again = _status(steady, STABLE, _seen(ALL_V1, v1=2), first, NOW + timedelta(hours=1))
    assert again == first


def test_long_messages_are_cut() -> None:
    """
    A message has at most a thousand bytes, and shows that it was cut.
    """
    failure = Failure("VersionNotFound", "x" * 5_000, permanent=True)
    status = _status(WANTED, Memory(), Snapshot({"v2": Pool(1, 0, failure)}))
    messages = [c["message"] for c in status["conditions"]]
    assert all(len(message.encode()) == 1_000 and message.endswith("…") for message in messages)


def test_a_trouble_that_a_person_must_mend_replaces_reconciling() -> None:
    """
    `with_stalled` sets Stalled, takes Reconciling away, and gives an unready object its reason.
    """
    status = _status(WANTED, Memory(), Snapshot())
    trouble = ("NameTaken", "A Service named mnist exists.")
    stalled = report.with_stalled(status, *trouble, {}, NOW)
    assert _told(stalled) == {
        "Ready": ("False", "NameTaken"),
        "Promoted": ("False", "AwaitingPods"),
        "Stalled": ("True", "NameTaken"),
    }
    again = report.with_stalled(status, *trouble, stalled, NOW + timedelta(hours=1))
    assert again == stalled


def test_no_status_in_a_rollout_is_both_reconciling_and_stalled() -> None:
    """
    Kstatus takes the first of the two, so that both at once would lie; through a whole story.
    """
    world = a_world(steps=steps_of(10, hold=2))
    failure = Failure("VersionNotFound", "no such version", permanent=True)
    world.natures["v3"] = Nature(None, failure)
    seen: set[str] = set()
    for turn in range(60):
        if turn == 8:
            world.want("v2")
        if turn == 30:
            world.want("v3")
        seen |= set(_told(_turn(world)))
    assert seen == {"Ready", "Promoted", "Reconciling", "Stalled"}


def _turn(world: World) -> dict[str, Any]:
    before = world.observe()
    world.step()
    assert world.decision is not None
    about = {"generation": 1, "selector": "", "url": "", "now": world.now}
    status = report.build_status(world.decision, world.wanted, before, {}, about)
    told = _told(status)
    assert not {"Reconciling", "Stalled"} <= set(told)
    return status


def test_a_status_stays_under_sixteen_kilobytes() -> None:
    """
    Even with ten long histories and the longest messages a status stays under 16 KB.
    """
    long, short = clip("é" * 4_000), clip("é" * 4_000, CHAPTER_BYTES)
    chapters = tuple(
        Chapter(f"v{n}", "2" * 18, Outcome.ABORTED, NOW, NOW, short) for n in range(10)
    )
    memory = Memory(
        stable=revision("v1"),
        canary=replace(CANARY, withdrawal=Withdrawal(Outcome.ABORTED, "Aborted", long)),
        rejected=Rejected("v2", "VersionNotFound", long),
        history=chapters,
        refusal=long,
    )
    status = _status(WANTED, memory, _seen(TENTH, v1=2, v2=1))
    assert len(json.dumps(status, ensure_ascii=False).encode()) < 16_384


def test_a_pause_before_the_first_step_is_reconciling() -> None:
    """
    A new version that waits because of a pause keeps waiting tools waiting.
    """
    told = _told(_status(replace(WANTED, paused=True), STABLE, _seen(ALL_V1, v1=2)))
    assert told["Reconciling"] == ("True", "Paused")


def test_what_others_say_is_told_beside_what_was_counted() -> None:
    """
    With the value and its bounds as people read them.
    """
    check = External("web", Source.WEB, "q", max=1.0)
    wanted = replace(WANTED, criteria=Criteria(external=(check,)))
    seen = replace(_seen(TENTH, v1=2, v2=1), measured={"web": Measurement("q", problem="Away.")})
    status = _status(wanted, replace(STABLE, canary=CANARY), seen)
    assert status["canary"]["checks"] == [
        {
            "name": "web",
            "verdict": "Unmeasured",
            "value": "",
            "threshold": "at most 1",
            "samples": 0,
            "message": "Away.",
        }
    ]
