"""
Golden traces of each strategy: a good rollout, and each way in which one ends otherwise.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from modeldeploy_operator.analysis.checks import Check, Criteria
from modeldeploy_operator.analysis.kinds import ErrorRate
from modeldeploy_operator.rollout.memory import Outcome
from modeldeploy_operator.rollout.strategy import schedules
from modeldeploy_operator.rollout.strategy.schedules import Schedule
from modeldeploy_operator.rollout.strategy.steps import Step
from testkit.trace import Tracer
from testkit.world import Nature, a_world, revision

TESTDATA = Path(__file__).parent / "testdata"
Ending = Callable[[Tracer], None]

STRATEGIES = {
    "blue_green": schedules.blue_green(approval=False, hold=6),
    "rolling": schedules.rolling(1),
    "in_place": schedules.in_place([Step(2_500, hold=2), Step(7_500, hold=2)], surge=1),
    "scarce": schedules.canary([Step(2_500, hold=2), Step(7_500, hold=2)], surge=1),
}


def _begin(schedule: Schedule) -> Tracer:
    """
    Begin with three pods of version v1 in steady state.
    """
    world = a_world(replicas=3)
    world.want(steps=schedule.steps, surge=schedule.surge, preview=schedule.preview)
    world.want(otherwise=schedule.otherwise)
    Tracer(world).turns(6)
    assert world.memory.stable == revision("v1")
    story = Tracer(world)
    story.say("version v2 is wanted")
    world.want("v2")
    return story


def _until(story: Tracer, share: int) -> None:
    """
    Go on until every router gives the canary so much.
    """
    for _ in range(40):
        story.turns(1)
        routing = story.world.routing
        known = all(router.generation == story.world.generation for router in story.world.routers)
        if routing and known and routing.weight >= share:
            return
    raise AssertionError(f"the canary never got {share}")


def _ended(story: Tracer, outcome: Outcome, stable: str) -> None:
    memory = story.world.memory
    assert (memory.history[0].outcome, memory.stable) == (outcome, revision(stable))
    assert memory.canary is None
    assert set(story.world.pools) == {stable}
    assert story.world.pools[stable].desired == story.world.ready(stable) == 3


def promoted(story: Tracer) -> None:
    """
    It is promoted.
    """
    story.turns(40)
    _ended(story, Outcome.PROMOTED, "v2")


def aborted(story: Tracer) -> None:
    """
    It is aborted by hand when it has most of the traffic.
    """
    _until(story, 6_000)
    story.say("somebody aborts")
    story.world.want(action="abort@v2")
    story.turns(20)
    _ended(story, Outcome.ABORTED, "v1")


def reverted(story: Tracer) -> None:
    """
    The stable version is wanted again when it has most of the traffic.
    """
    _until(story, 6_000)
    story.say("version v1 is wanted again")
    story.world.want("v1")
    story.turns(20)
    _ended(story, Outcome.ROLLED_BACK, "v1")


def superseded(story: Tracer) -> None:
    """
    A third version is wanted when it has most of the traffic.
    """
    _until(story, 6_000)
    story.say("version v3 is wanted")
    story.world.want("v3")
    story.turns(50)
    outcomes = [chapter.outcome for chapter in story.world.memory.history]
    assert outcomes[:2] == [Outcome.PROMOTED, Outcome.SUPERSEDED]
    _ended(story, Outcome.PROMOTED, "v3")


def stable_down(story: Tracer) -> None:
    """
    No pod of the stable version comes back after they died: the canary takes over, and goes on.
    """
    _until(story, 2_500)
    story.say("the pods of v1 die, and do not come back")
    story.world.natures["v1"] = Nature(ready_after=None)
    story.turns(40)
    _ended(story, Outcome.PROMOTED, "v2")


ENDINGS = [promoted, aborted, reverted, superseded, stable_down]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__)
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_ends_as_its_trace_says(
    name: str, ending: Ending, request: pytest.FixtureRequest
) -> None:
    """
    Each strategy with each ending goes as its golden trace says; `--update-golden` writes it anew.
    """
    path = TESTDATA / f"{name}_{ending.__name__}.trace"
    story = _begin(STRATEGIES[name])
    ending(story)
    text = f"{name}: {(ending.__doc__ or '').strip()}\n\n{story.text()}"
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_quick_return_of_blue_green_needs_no_new_pod() -> None:
    """
    Within the hold the old pods are all there, and one change of the weight brings them back.
    """
    story = _begin(STRATEGIES["blue_green"])
    _until(story, 10_000)
    ages = list(story.world.pools["v1"].ages)
    generation = story.world.generation
    story.world.want(action="undo@v1")
    story.turns(1)
    assert story.world.routing is not None
    assert story.world.routing.share("v1") == 10_000
    assert story.world.generation == generation + 1
    assert story.world.pools["v1"].ages == [age + 1 for age in ages]
    story.turns(5)
    _ended(story, Outcome.ROLLED_BACK, "v1")


def test_checks_judge_blue_green_during_its_hold() -> None:
    """
    Before the switch no check waits for requests; after it one that fails brings everything back.
    """
    story = _begin(STRATEGIES["blue_green"])
    checks = (Check("errors", ErrorRate(max=0.05)),)
    story.world.want(criteria=Criteria(checks, interval=1))
    story.world.natures["v2"] = Nature(failing=0.5)
    story.turns(20)
    _ended(story, Outcome.ABORTED, "v1")
    assert story.world.memory.rejected is not None
    assert story.world.memory.rejected.reason == "CheckFailed"
    assert any("goes from 0% to 100%" in line for line in story.lines)
