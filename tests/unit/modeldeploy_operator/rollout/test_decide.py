"""
Single decisions, by literals: what is seen goes in, what is to be true comes out.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_operator.rollout.decide import decide
from modeldeploy_operator.rollout.decision import POLL_PODS, POLL_ROUTERS, Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory, Outcome, Rejected, Undo
from modeldeploy_operator.rollout.snapshot import Failure, Pool, Router, Routing, Snapshot
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import steps
from testkit.objects import NOW
from testkit.world import revision, steps_of

STEPS = steps_of(10, 50, hold=60)
V1 = Wanted(revision("v1"), 2, STEPS, progress_deadline=30)
V2 = replace(V1, revision=revision("v2"))
STABLE = Memory(stable=revision("v1"))
CANARY = Canary(revision("v2"), 0, steps.fingerprint(STEPS), NOW)
TRYING = replace(STABLE, canary=CANARY)
ALL_V1 = Routing({"a": "v1"}, "v1")
TENTH = Routing({"a": "v1", "b": "v2"}, "v1", "v2", 1_000)


def _seen(routing: Routing | None = ALL_V1, *, confirmed: bool = True, **ready: int) -> Snapshot:
    """
    Build a snapshot in which each named revision has two pods asked for, so many of them ready.
    """
    pools = {name: Pool(2, count) for name, count in ready.items()}
    router = Router(1 if confirmed else 0, dict(ready))
    return Snapshot(pools, routing, 1 if routing else 0, (router, router))


def _failing(failure: Failure) -> Snapshot:
    pools = {"v1": Pool(2, 2), "v2": Pool(1, 0, failure, "FetchingModel")}
    return Snapshot(pools, ALL_V1, 1, (Router(1, {"v1": 2}),))


def test_the_first_revision_gets_pods_and_a_route_at_once() -> None:
    """
    The first pass asks for all pods of the first revision and routes everything to it.
    """
    decision = decide(V1, Memory(), Snapshot(), NOW)
    assert decision.state is State.STARTING
    assert decision.pools == {"v1": 2}
    assert decision.routing == ALL_V1
    assert decision.memory == Memory(first_started_at=NOW)
    assert decision.look_again_at == NOW + POLL_PODS
    assert not decision.stalled


@pytest.mark.requirement("row-14")
def test_the_first_revision_is_promoted_once_a_pod_answers() -> None:
    """
    One ready pod that the routers find healthy is enough; no strategy runs.
    """
    decision = decide(V1, Memory(first_started_at=NOW), _seen(v1=1), NOW)
    assert decision.memory.stable == revision("v1")
    assert decision.memory.history[0].outcome is Outcome.PROMOTED
    assert [note.reason for note in decision.notes] == ["Promoted"]


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (_seen(v1=0), "AwaitingPods"),
        (Snapshot({"v1": Pool(2, 1)}, ALL_V1, 1, (Router(1),)), "AwaitingRouters"),
        (_seen(confirmed=False, v1=1), "AwaitingRouters"),
    ],
)
def test_the_first_revision_waits_for_pods_and_routers(seen: Snapshot, reason: str) -> None:
    """
    Nothing is promoted that no router can reach.
    """
    decision = decide(V1, Memory(first_started_at=NOW), seen, NOW)
    assert decision.memory.stable is None
    assert decision.reason == reason


def test_a_first_revision_that_is_late_stalls_and_still_may_come() -> None:
    """
    After the progress deadline the first revision is stalled; its pods stay, for they may recover.
    """
    late = NOW + timedelta(seconds=30)
    decision = decide(V1, Memory(first_started_at=NOW), _seen(v1=0), late)
    assert decision.stalled
    assert decision.reason == "ProgressDeadlineExceeded"
    assert decision.message == ("No pod was ready within 30 s: Waiting until pods become ready.")
    assert decision.pools == {"v1": 2}
    assert decide(V1, decision.memory, _seen(v1=1), late).memory.stable == revision("v1")


def test_a_first_revision_that_fails_for_good_stalls_at_once() -> None:
    """
    A permanent failure of the first revision needs no deadline, and is told as a warning.
    """
    failure = Failure("VersionNotFound", "no version 1", permanent=True)
    seen = Snapshot({"v1": Pool(2, 0, failure)}, ALL_V1, 1)
    decision = decide(V1, Memory(first_started_at=NOW), seen, NOW)
    assert (decision.stalled, decision.reason) == (True, "VersionNotFound")
    assert decision.notes[0].warning


def test_another_first_revision_starts_the_clock_anew() -> None:
    """
    A mended spec gets the whole deadline, and what stood for the broken one lingers only as needed.
    """
    late = NOW + timedelta(seconds=30)
    decision = decide(V2, Memory(first_started_at=NOW), _seen(v1=0), late)
    assert not decision.stalled
    assert decision.memory.first_started_at == late
    assert decision.pools == {"v2": 2, "v1": 2}


def test_a_canary_gets_its_pods_before_its_weight() -> None:
    """
    A new revision first gets the pods of the first step, and no traffic.
    """
    decision = decide(V2, STABLE, _seen(v1=2), NOW)
    assert decision.state is State.PREPARING
    assert decision.pools == {"v1": 2, "v2": 1}
    assert decision.routing == Routing({"a": "v1", "b": "v2"}, "v1", "v2", 0)
    assert decision.notes[0].reason == "RolloutStarted"


@pytest.mark.requirement("row-14")
def test_a_ready_canary_gets_its_weight() -> None:
    """
    Once its pods are ready and seen by the routers, the step's weight is published.
    """
    decision = decide(V2, TRYING, _seen(v1=2, v2=1), NOW)
    assert decision.state is State.SHIFTING
    assert decision.routing == TENTH
    assert decision.look_again_at == NOW + POLL_ROUTERS
    assert [note.message for note in decision.notes] == [
        "The canary v2 goes from 0% to 10% of the traffic."
    ]


def test_a_confirmed_weight_is_held() -> None:
    """
    The hold begins when every router has confirmed the weight, and the next look is at its end.
    """
    decision = decide(V2, TRYING, _seen(TENTH, v1=2, v2=1), NOW)
    assert decision.state is State.HOLDING
    assert decision.memory.canary is not None
    assert decision.memory.canary.step_started_at == NOW
    soon = replace(TRYING, canary=replace(CANARY, step_started_at=NOW - timedelta(seconds=58)))
    decision = decide(V2, soon, _seen(TENTH, v1=2, v2=1), NOW)
    assert decision.look_again_at == NOW + timedelta(seconds=2)


def test_a_step_that_ends_asks_for_the_pods_of_the_next() -> None:
    """
    The next step's pods come first; the weight stays where it was.
    """
    held = replace(CANARY, step_started_at=NOW - timedelta(seconds=60), most_ready=1)
    seen = Snapshot(
        {"v1": Pool(4, 4), "v2": Pool(1, 1)}, TENTH, 1, (Router(1, {"v1": 4, "v2": 1}),)
    )
    decision = decide(replace(V2, replicas=4), replace(TRYING, canary=held), seen, NOW)
    assert decision.memory.canary is not None
    assert decision.memory.canary.step == 1
    assert decision.memory.canary.step_started_at is None
    assert decision.pools == {"v1": 4, "v2": 2}
    assert decision.routing == TENTH


def test_all_the_traffic_and_all_the_pods_make_a_promotion() -> None:
    """
    After the last step the canary is stable, and the old pods may go once nobody sends to them.
    """
    last = replace(CANARY, step=2)
    everything = replace(TENTH, weight=10_000)
    decision = decide(V2, replace(TRYING, canary=last), _seen(everything, v1=2, v2=2), NOW)
    assert decision.state is State.STEADY
    assert decision.memory.stable == revision("v2")
    assert decision.pools == {"v2": 2, "v1": 2}
    assert decision.routing == Routing({"a": "v1", "b": "v2"}, "v2")


def test_a_permanent_failure_aborts_at_once() -> None:
    """
    What waiting cannot mend is rejected in the pass that sees it.
    """
    failure = Failure("ContentChanged", "another digest", permanent=True)
    decision = decide(V2, TRYING, _failing(failure), NOW)
    assert decision.memory.rejected == Rejected("v2", "ContentChanged", "another digest")
    assert decision.reason == "ContentChanged"


def test_a_failing_pod_beside_enough_ready_ones_aborts_nothing() -> None:
    """
    A failure matters only while the step lacks pods.
    """
    failure = Failure("ModelUnusable", "one bad node", permanent=True)
    seen = replace(_seen(TENTH, v1=2, v2=1), pools={"v1": Pool(2, 2), "v2": Pool(2, 1, failure)})
    assert decide(V2, TRYING, seen, NOW).state is State.HOLDING


def test_a_transient_failure_aborts_at_the_deadline() -> None:
    """
    The deadline counts the time spent waiting, and its message names the trouble.
    """
    failure = Failure("AccessDenied", "403")
    waiting = replace(TRYING, canary=replace(CANARY, waiting_since=NOW))
    early = decide(V2, waiting, _failing(failure), NOW + timedelta(seconds=29))
    assert early.state is State.PREPARING
    late = decide(V2, waiting, _failing(failure), NOW + timedelta(seconds=30))
    assert late.memory.rejected is not None
    assert late.memory.rejected.reason == "ProgressDeadlineExceeded"
    assert late.memory.rejected.message.startswith("Step 1 made no progress for 30 s: Waiting")


def test_every_ready_pod_starts_the_deadline_anew() -> None:
    """
    Progress of any kind gives the whole deadline again.
    """
    waiting = replace(TRYING, canary=replace(CANARY, step=1, waiting_since=NOW))
    seen = replace(_seen(v1=4), pools={"v1": Pool(4, 4), "v2": Pool(2, 1)})
    later = NOW + timedelta(seconds=29)
    decision = decide(replace(V2, replicas=4), waiting, seen, later)
    assert decision.memory.canary is not None
    assert decision.memory.canary.most_ready == 1
    assert decision.memory.canary.waiting_since == later


def test_without_routers_the_deadline_stands_still() -> None:
    """
    A canary that no router can be found for is not to blame.
    """
    waiting = replace(TRYING, canary=replace(CANARY, waiting_since=NOW))
    nobody = replace(_failing(Failure("X", "x")), routers=())
    stopped = decide(V2, waiting, nobody, NOW + timedelta(seconds=20))
    assert stopped.memory.canary is not None
    assert (stopped.memory.canary.waited, stopped.memory.canary.waiting_since) == (20, None)
    later = decide(V2, stopped.memory, nobody, NOW + timedelta(hours=1))
    assert later.state is State.PREPARING


def test_a_canary_without_ready_pods_has_no_weight() -> None:
    """
    A weight is taken back in the pass that sees the last pod go.
    """
    decision = decide(V2, TRYING, _seen(TENTH, v1=2, v2=0), NOW)
    assert decision.routing == replace(TENTH, weight=0)


def test_a_canary_serves_for_a_stable_revision_that_is_down() -> None:
    """
    A canary that has had traffic answers everything while stable has no ready pod.
    """
    trusted = replace(TRYING, canary=replace(CANARY, had_traffic=True))
    decision = decide(V2, trusted, _seen(TENTH, v1=0, v2=1), NOW)
    assert decision.routing == replace(TENTH, weight=10_000)
    assert decision.message.startswith("The stable revision has no ready pod")
    untried = decide(V2, TRYING, _seen(TENTH, v1=0, v2=1), NOW)
    assert untried.routing == TENTH


def test_a_serving_canary_that_is_no_longer_wanted_becomes_stable() -> None:
    """
    With stable down, a third revision does not take away the last thing that answers.
    """
    trusted = replace(TRYING, canary=replace(CANARY, had_traffic=True))
    seen = _seen(replace(TENTH, weight=10_000), v1=0, v2=1)
    decision = decide(replace(V2, revision=revision("v3")), trusted, seen, NOW)
    assert decision.memory.stable == revision("v2")
    assert "StableUnavailable" in [note.reason for note in decision.notes]


@pytest.mark.parametrize("wanted", ["v1", "v3"])
def test_a_canary_that_is_no_longer_wanted_loses_its_weight_first(wanted: str) -> None:
    """
    Weight 0 is published, and the pods stay until it is confirmed.
    """
    decision = decide(replace(V2, revision=revision(wanted)), TRYING, _seen(TENTH, v1=2, v2=1), NOW)
    assert decision.state is State.WITHDRAWING
    assert decision.reason == ("RolledBack" if wanted == "v1" else "Superseded")
    assert decision.routing == Routing({"a": "v1", "b": "v2"}, "v1")
    assert decision.pools == {"v1": 2, "v2": 2}


def test_an_abort_waits_for_stable_where_only_the_canary_serves() -> None:
    """
    The canary that answers for a dead stable revision is withdrawn only once stable is back.
    """
    trusted = replace(TRYING, canary=replace(CANARY, had_traffic=True))
    everything = replace(TENTH, weight=10_000)
    order = replace(V2, action="abort@v2")
    waiting = decide(order, trusted, _seen(everything, v1=0, v2=1), NOW)
    assert (waiting.reason, waiting.routing) == ("StableUnavailable", everything)
    back = decide(order, waiting.memory, _seen(everything, v1=1, v2=1), NOW)
    assert (back.reason, back.routing) == ("Aborted", Routing({"a": "v1", "b": "v2"}, "v1"))


def test_an_abort_ends_on_stable_and_stays_there() -> None:
    """
    An aborted revision stays rejected, and the object stalled, until somebody says otherwise.
    """
    order = replace(V2, action="abort@v2")
    first = decide(order, TRYING, _seen(TENTH, v1=2, v2=1), NOW)
    done = decide(order, first.memory, _seen(ALL_V1, v1=2, v2=1), NOW)
    assert (done.state, done.stalled, done.memory.canary) == (State.STEADY, True, None)
    rest = decide(order, done.memory, _seen(ALL_V1, v1=2), NOW)
    assert (rest.stalled, rest.look_again_at, rest.pools) == (True, None, {"v1": 2})
    another = decide(replace(order, revision=revision("v3")), done.memory, _seen(v1=2), NOW)
    assert another.memory.rejected is None
    assert another.state is State.PREPARING


def test_a_pause_stops_the_clock_of_a_step() -> None:
    """
    The time spent paused is not held time: the step's start moves by the pause.
    """
    holding = replace(TRYING, canary=replace(CANARY, step_started_at=NOW))
    seen, paused = _seen(TENTH, v1=2, v2=1), replace(V2, paused=True)
    stopped = decide(paused, holding, seen, NOW + timedelta(seconds=20))
    assert (stopped.reason, stopped.memory.paused_since) == ("Paused", NOW + timedelta(seconds=20))
    still = decide(paused, stopped.memory, seen, NOW + timedelta(seconds=300))
    assert still.memory == stopped.memory
    going = decide(V2, still.memory, seen, NOW + timedelta(seconds=520))
    assert going.memory.canary is not None
    assert going.memory.canary.step_started_at == NOW + timedelta(seconds=500)
    assert going.memory.paused_since is None


def test_a_pause_outside_a_step_shifts_nothing() -> None:
    """
    A pause that ends without a canary under way is only forgotten.
    """
    paused = replace(STABLE, paused_since=NOW)
    assert decide(V1, paused, _seen(v1=2), NOW).memory == STABLE


def test_a_pause_keeps_a_new_revision_from_starting() -> None:
    """
    While the rollout is paused no canary begins.
    """
    decision = decide(replace(V2, paused=True), STABLE, _seen(v1=2), NOW)
    assert (decision.state, decision.reason) == (State.STEADY, "Paused")
    assert decision.pools == {"v1": 2}


def test_an_old_pool_is_cleared_before_a_new_trial() -> None:
    """
    A rollout begins when only stable's pods, and perhaps its own, are left.
    """
    decision = decide(V2, STABLE, _seen(v1=2, v0=1), NOW)
    assert (decision.reason, decision.memory.canary) == ("AwaitingCleanup", None)


def test_zero_replicas_run_nothing_and_are_ready() -> None:
    """
    Scaled to zero, a wanted revision is stable at once; a canary is superseded or done.
    """
    idle = decide(replace(V2, replicas=0), STABLE, _seen(v1=2), NOW)
    assert (idle.reason, idle.memory.stable) == ("Idle", revision("v2"))
    assert idle.memory.canary is None
    done = decide(replace(V2, replicas=0), TRYING, _seen(TENTH, v1=2, v2=1), NOW)
    assert done.memory.history[0].outcome is Outcome.FAST_PROMOTED
    other = decide(replace(V1, replicas=0), TRYING, _seen(TENTH, v1=2, v2=1), NOW)
    assert other.memory.history[0].outcome is Outcome.SUPERSEDED


def test_zero_replicas_do_not_promote_what_was_rejected() -> None:
    """
    A rejected revision stays rejected at zero replicas.
    """
    rejected = replace(STABLE, rejected=Rejected("v2", "Aborted", "by hand"))
    decision = decide(replace(V2, replicas=0), rejected, _seen(v1=2), NOW)
    assert (decision.memory.stable, decision.reason) == (revision("v1"), "Aborted")


def test_a_first_object_of_zero_replicas_is_idle() -> None:
    """
    An object that starts with zero replicas waits for nothing.
    """
    decision = decide(replace(V1, replicas=0), Memory(), Snapshot(), NOW)
    assert (decision.memory.stable, decision.reason) == (revision("v1"), "Idle")


def test_missing_stable_pods_are_told() -> None:
    """
    A steady object that lacks pods says how many and why, and is looked at again.
    """
    seen = replace(_seen(v1=1), pools={"v1": Pool(2, 1, Failure("X", "no room"))})
    decision = decide(V1, STABLE, seen, NOW)
    assert decision.message == "1 of 2 stable pods are ready: no room."
    assert decision.look_again_at is not None
    assert decide(V1, STABLE, _seen(v1=1), NOW).message == "1 of 2 stable pods are ready."


def test_an_undo_lasts_until_another_revision_is_wanted() -> None:
    """
    What runs by undo is told, and a new wish ends it.
    """
    undone = Memory(stable=revision("v1"), undo=Undo(revision("v1"), "v2"))
    decision = decide(V2, undone, _seen(v1=2), NOW)
    assert (decision.reason, decision.memory.undo) == ("Undone", undone.undo)
    wished = decide(replace(V2, revision=revision("v3")), undone, _seen(v1=2), NOW)
    assert wished.memory.undo is None


def test_edited_steps_restart_nothing() -> None:
    """
    The canary goes on at the matching step; the hold starts over unless the weight is the same.
    """
    holding = replace(CANARY, step_started_at=NOW, approved=True)
    seen = _seen(TENTH, v1=2, v2=1)
    same = decide(
        replace(V2, steps=steps_of(5, 10, hold=90)), replace(TRYING, canary=holding), seen, NOW
    )
    assert same.memory.canary is not None
    assert (same.memory.canary.step, same.memory.canary.step_started_at) == (1, NOW)
    assert not same.memory.canary.approved
    other = decide(
        replace(V2, steps=steps_of(7, hold=90)), replace(TRYING, canary=holding), seen, NOW
    )
    assert other.memory.canary is not None
    assert (other.memory.canary.step, other.memory.canary.step_started_at) == (0, None)


def test_promote_full_skips_the_steps_and_not_the_pods() -> None:
    """
    `promote-full` asks for all pods and gives all the traffic once they are there.
    """
    order = replace(V2, action="promote-full@v2")
    waiting = decide(order, TRYING, _seen(TENTH, v1=2, v2=1), NOW)
    assert (waiting.state, waiting.pools["v2"]) == (State.PREPARING, 2)
    ready = decide(order, waiting.memory, _seen(TENTH, v1=2, v2=2), NOW)
    assert ready.routing == replace(TENTH, weight=10_000)
    done = decide(order, ready.memory, _seen(ready.routing, v1=2, v2=2), NOW)
    assert done.memory.history[0].outcome is Outcome.FAST_PROMOTED


@given(
    memory=st.sampled_from([Memory(), STABLE, TRYING, replace(STABLE, canary=None)]),
    routing=st.sampled_from([None, ALL_V1, TENTH]),
    confirmed=st.booleans(),
    ready=st.fixed_dictionaries({"v1": st.integers(0, 2), "v2": st.integers(0, 2)}),
    wanted=st.sampled_from([V1, V2, replace(V2, replicas=0), replace(V2, paused=True)]),
)
def test_the_shares_add_up_whatever_is_seen(
    *,
    memory: Memory,
    routing: Routing | None,
    confirmed: bool,
    ready: dict[str, int],
    wanted: Wanted,
) -> None:
    """
    A decision gives exactly all traffic away and runs the pools that it routes to, every time.
    """
    seen = _seen(routing, confirmed=confirmed, **ready)
    decision = decide(wanted, memory, seen, NOW)
    assert decision.routing is not None
    named = {decision.routing.stable, decision.routing.canary or decision.routing.stable}
    assert sum(decision.routing.share(name) for name in named) == 10_000
    assert named <= set(decision.pools)
    assert decide(wanted, memory, seen, NOW) == decision


def test_nobody_looks_again_before_there_can_be_anything_new() -> None:
    """
    Where a Gateway confirms slowly, a pass for each quarter of a second would find nothing.
    """
    seen = _seen(TENTH, confirmed=False, v1=2, v2=1)
    assert decide(V2, TRYING, seen, NOW).look_again_at == NOW + POLL_ROUTERS
    slow = replace(seen, patience=timedelta(seconds=1))
    assert decide(V2, TRYING, slow, NOW).look_again_at == NOW + slow.patience
