"""
Golden traces: whole rollouts on one page each, for every moment that people ask about.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_operator.analysis.checks import Check, Criteria, OnNoData
from modeldeploy_operator.analysis.kinds import ErrorRate, Shadow
from modeldeploy_operator.resource.latest.following import UNKNOWN
from modeldeploy_operator.rollout.memory import Memory, Outcome
from modeldeploy_operator.rollout.snapshot import Failure
from testkit.trace import Tracer, hold_to_golden
from testkit.world import Nature, a_world, revision, steps_of

TESTDATA = Path(__file__).parent / "testdata"
Story = Callable[[], Tracer]


def _stable(replicas: int = 2, **spec: Any) -> Tracer:
    """
    Begin with version v1 in steady state.
    """
    world = a_world(replicas=replicas)
    world.want(**spec)
    silent = Tracer(world)
    silent.turns(6)
    assert world.memory.stable == revision("v1")
    return Tracer(world)


def _outcomes(memory: Memory) -> list[Outcome]:
    return [chapter.outcome for chapter in memory.history]


def first_deploy() -> Tracer:
    """
    The first revision takes all traffic as soon as a pod of it answers.
    """
    story = Tracer(a_world())
    story.turns(8)
    return story


def version_awaited() -> Tracer:
    """
    Nothing runs before a version is known; then it takes all traffic as any first revision does.
    """
    world = a_world()
    world.want(revision=UNKNOWN)
    story = Tracer(world)
    story.turns(3)
    story.say("version v1 is found")
    world.want("v1")
    story.turns(8)
    assert world.memory.stable == revision("v1")
    return story


def canary_promoted() -> Tracer:
    """
    A canary goes through its steps and is promoted.
    """
    story = _stable()
    story.say("version v2 is wanted")
    story.world.want("v2")
    story.turns(25)
    assert story.world.memory.stable == revision("v2")
    return story


def half_percent() -> Tracer:
    """
    A step of half a percent is published as it is written, at one replica.
    """
    story = _stable(replicas=1)
    one, rest = steps_of(1, 50, hold=2)[:2]
    steps = (replace(one, weight=50), rest, *steps_of()[-1:])
    story.say("version v2 is wanted, with steps of 0.5 % and 50 %")
    story.world.want("v2", steps=steps)
    story.turns(20)
    return story


def approval() -> Tracer:
    """
    A step that asks for approval waits for it, refuses a wrong order, and goes on with the right.
    """
    story = _stable(steps=steps_of(10, approval=True))
    story.world.want("v2")
    story.turns(8)
    story.say("somebody approves step 2 by mistake")
    story.world.want(action="approve@v2/2")
    story.turns(2)
    story.say("somebody approves step 1")
    story.world.want(action="approve@v2/1")
    story.turns(10)
    return story


def aborted() -> Tracer:
    """
    An abort takes the weight away first, and the pods once that is confirmed.
    """
    story = _stable()
    story.world.want("v2")
    story.turns(6)
    story.say("somebody aborts")
    story.world.want(action="abort@v2")
    story.turns(6)
    story.say("somebody tries again")
    story.world.want(action="retry@v2")
    story.turns(4)
    return story


def reverted() -> Tracer:
    """
    Wanting the stable version again goes straight back to it, without steps.
    """
    story = _stable()
    story.world.want("v2")
    story.turns(6)
    story.say("version v1 is wanted again")
    story.world.want("v1")
    story.turns(6)
    assert _outcomes(story.world.memory)[0] is Outcome.ROLLED_BACK
    return story


def third_revision() -> Tracer:
    """
    A third version in mid-canary starts over, against the last stable one.
    """
    story = _stable()
    story.world.want("v2")
    story.turns(6)
    story.say("version v3 is wanted")
    story.world.want("v3")
    story.turns(25)
    assert _outcomes(story.world.memory)[:2] == [Outcome.PROMOTED, Outcome.SUPERSEDED]
    return story


def never_ready() -> Tracer:
    """
    A canary that never becomes ready is aborted at its deadline and never gets traffic.
    """
    story = _stable(progress_deadline=5)
    failure = Failure("ImagePullBackOff", "the image cannot be pulled")
    story.world.natures["v2"] = Nature(None, failure)
    story.world.want("v2")
    story.turns(12)
    return story


def no_such_version() -> Tracer:
    """
    A permanent failure aborts at once.
    """
    story = _stable()
    failure = Failure("VersionNotFound", "s3://models/mnist holds no version 2.", permanent=True)
    story.world.natures["v2"] = Nature(None, failure)
    story.world.want("v2")
    story.turns(6)
    return story


def signature_incompatible() -> Tracer:
    """
    A version that clients would notice is aborted before it has any weight.
    """
    story = _stable()
    lost = 'It does not fit the clients of version v1: the output "y" is gone.'
    failure = Failure("SignatureIncompatible", lost, permanent=True)
    story.world.natures["v2"] = Nature(None, failure)
    story.world.want("v2")
    for _ in range(6):
        story.turns(1)
        assert story.world.routing is not None
        assert story.world.routing.share("v2") == 0
    assert _outcomes(story.world.memory)[0] is Outcome.ABORTED
    return story


def paused() -> Tracer:
    """
    A pause keeps the weight where it is and stops the clock.
    """
    story = _stable()
    story.world.want("v2")
    story.turns(5)
    story.say("the rollout is paused")
    story.world.want(paused=True)
    story.turns(6)
    story.say("the rollout goes on")
    story.world.want(paused=False)
    story.turns(12)
    return story


def steps_edited() -> Tracer:
    """
    An edit of the steps alone restarts nothing; the canary goes on at the matching step.
    """
    story = _stable(steps=steps_of(10, 50, hold=30))
    story.world.want("v2")
    story.turns(6)
    story.say("the steps become 5, 10, 60 with a short hold")
    story.world.want(steps=steps_of(5, 10, 60, hold=2))
    story.turns(14)
    return story


def canary_dies() -> Tracer:
    """
    A canary without a ready pod gets no traffic until it has one again.
    """
    story = _stable(steps=steps_of(50, hold=6))
    story.world.want("v2")
    story.turns(5)
    story.say("the canary's pods die")
    story.world.natures["v2"] = Nature(4)
    story.world.pools["v2"].ages = [0]
    story.turns(12)
    return story


def stable_dies() -> Tracer:
    """
    A canary that has had traffic answers everything while the stable revision has no ready pod.
    """
    story = _stable(steps=steps_of(10, hold=20))
    story.world.want("v2")
    story.turns(6)
    story.say("the stable pods die")
    story.world.natures["v1"] = Nature(None)
    story.turns(4)
    story.say("a fixed version v3 is wanted")
    story.world.want("v3", steps=steps_of(50, hold=1))
    story.turns(14)
    return story


def promoted_in_full() -> Tracer:
    """
    An order to promote in full skips the remaining steps; readiness still holds.
    """
    story = _stable(steps=steps_of(10, 20, hold=60))
    story.world.want("v2")
    story.turns(6)
    story.say("somebody promotes in full")
    story.world.want(action="promote-full@v2")
    story.turns(8)
    assert _outcomes(story.world.memory)[0] is Outcome.FAST_PROMOTED
    return story


def undone() -> Tracer:
    """
    An undo runs a kept revision until another revision is wanted.
    """
    story = _stable(steps=steps_of(50, hold=1))
    story.world.want("v2")
    story.turns(12)
    story.say("somebody undoes it")
    story.world.want(action="undo@v1")
    story.turns(14)
    assert story.world.memory.stable == revision("v1")
    story.say("version v3 is wanted")
    story.world.want("v3")
    story.turns(14)
    return story


def scaled_to_zero() -> Tracer:
    """
    At zero replicas nothing runs, and a new version is stable at once.
    """
    story = _stable()
    story.say("zero replicas are wanted")
    story.world.want(replicas=0)
    story.turns(3)
    story.say("version v2 and one replica are wanted")
    story.world.want("v2")
    story.turns(3)
    story.world.want(replicas=1)
    story.turns(5)
    return story


def operator_away() -> Tracer:
    """
    While the operator is away everything stays as it was, and then it goes on where it stood.
    """
    story = _stable()
    story.world.want("v2")
    story.turns(5)
    story.say("the operator is away")
    story.turns(5, act=False)
    story.say("the operator is back")
    story.turns(10)
    return story


def routers_away() -> Tracer:
    """
    Without a ready router nothing is reached, and the status says so.
    """
    world = a_world()
    routers, world.routers = world.routers, []
    story = Tracer(world)
    story.turns(3)
    story.say("version v2 is wanted before anything answered")
    world.want("v2")
    story.turns(3)
    story.say("the routers are ready")
    world.routers = routers
    story.turns(4)
    story.say("the routers are gone")
    world.routers = []
    story.turns(2)
    return story


def _judged(**criteria: Any) -> Tracer:
    """
    Begin a canary that is judged by its errors.
    """
    checks = (Check("errors", ErrorRate(max=0.05)),)
    story = _stable(criteria=Criteria(checks, interval=2, min_requests=20, **criteria))
    story.say("version v2 is wanted")
    story.world.want("v2")
    return story


def _shadowed(drifting: float) -> Tracer:
    """
    Begin a canary that is compared on a copy of stable's requests before it gets any.
    """
    checks = (
        Check("errors", ErrorRate(max=0.05)),
        Check("drift", Shadow(percent=10, tolerance=0.001, max_mismatch=0.01)),
    )
    criteria = Criteria(checks, interval=2, min_requests=20)
    story = _stable(steps=steps_of(0, 50, hold=2), criteria=criteria)
    story.say(f"version v2 is wanted, and answers {drifting:.0%} of requests otherwise")
    story.world.natures["v2"] = Nature(1, drifting=drifting)
    story.world.want("v2")
    return story


def drifting() -> Tracer:
    """
    A canary that answers otherwise is taken back before anybody gets an answer from it.
    """
    story = _shadowed(0.5)
    story.turns(14)
    assert _outcomes(story.world.memory)[0] is Outcome.ABORTED
    assert story.world.served["v2"][0] == 0
    return story


def not_drifting() -> Tracer:
    """
    An equal canary is compared in a step without traffic, then gets its share.
    """
    story = _shadowed(0.0)
    story.world.demand = 40
    story.turns(20)
    assert story.world.served["v2"][0] > 0
    return story


def check_failed() -> Tracer:
    """
    A canary whose requests fail is taken back by its check, and stays rejected.
    """
    story = _judged()
    story.say("half of its requests fail")
    story.world.natures["v2"] = Nature(1, failing=0.5)
    story.turns(12)
    assert _outcomes(story.world.memory)[0] is Outcome.ABORTED
    assert story.world.memory.stable == revision("v1")
    return story


def check_failed_and_paused() -> Tracer:
    """
    Where a failed check only pauses, the canary keeps its share until somebody decides.
    """
    story = _judged(pauses=True)
    story.say("half of its requests fail")
    story.world.natures["v2"] = Nature(1, failing=0.5)
    story.turns(10)
    story.say("somebody promotes the step, which skips no check")
    story.world.want(action="promote@v2")
    story.turns(2)
    story.say("somebody promotes it in full, which skips them all")
    story.world.want(action="promote-full@v2")
    story.turns(8)
    assert story.world.memory.stable == revision("v2")
    return story


def no_requests() -> Tracer:
    """
    Without requests a canary waits, neither good nor bad, until there are enough.
    """
    story = _judged()
    story.say("nobody sends anything")
    story.world.demand = 0
    story.turns(10)
    story.say("requests come")
    story.world.demand = 400
    story.turns(20)
    assert story.world.memory.stable == revision("v2")
    return story


def no_requests_rolled_back() -> Tracer:
    """
    Where the user says so, a canary that nobody sends to is taken back after its hold.
    """
    story = _judged(on_no_data=OnNoData.ROLLBACK)
    story.say("nobody sends anything")
    story.world.demand = 0
    story.turns(12)
    assert story.world.memory.stable == revision("v1")
    assert story.world.memory.history[0].message.startswith("The check errors waits for requests")
    return story


def no_requests_needed() -> Tracer:
    """
    Where the user says so, a canary that nobody sends to goes on.
    """
    story = _judged(on_no_data=OnNoData.CONTINUE)
    story.say("nobody sends anything")
    story.world.demand = 0
    story.turns(20)
    assert story.world.memory.stable == revision("v2")
    return story


STORIES: list[Story] = [
    routers_away,
    first_deploy,
    version_awaited,
    canary_promoted,
    half_percent,
    approval,
    aborted,
    reverted,
    third_revision,
    never_ready,
    no_such_version,
    signature_incompatible,
    paused,
    steps_edited,
    canary_dies,
    stable_dies,
    promoted_in_full,
    undone,
    scaled_to_zero,
    operator_away,
    check_failed,
    drifting,
    not_drifting,
    check_failed_and_paused,
    no_requests,
    no_requests_rolled_back,
    no_requests_needed,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_trace_is_the_golden_one(story: Story, request: pytest.FixtureRequest) -> None:
    """
    Each story goes as its golden trace says; `--update-golden` writes it anew.
    """
    update = bool(request.config.getoption("--update-golden"))
    hold_to_golden(story, TESTDATA / f"{story.__name__}.trace", update=update)
