"""
Golden traces of canaries that others judge.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_operator.analysis.checks import Criteria
from modeldeploy_operator.analysis.external import External
from modeldeploy_operator.rollout.memory import Outcome
from testkit import others
from testkit.others import ACCEPTANCE, PAGE
from testkit.trace import Tracer, hold_to_golden
from testkit.world import Nature, a_world, revision

TESTDATA = Path(__file__).parent / "testdata"
Story = Callable[[], Tracer]


def _judged(*checks: External, says: str, **criteria: Any) -> Tracer:
    """
    Begin a canary of which the checks say the same.
    """
    world = a_world()
    world.want(criteria=Criteria(external=checks, interval=2, **criteria))
    silent = Tracer(world)
    silent.turns(6)
    assert world.memory.stable == revision("v1")
    world.natures["v2"] = Nature(1, says={check.name: says for check in checks})
    story = Tracer(world)
    story.say(f"version v2 is wanted, of which others say: {says}")
    world.want("v2")
    return story


def job_succeeded() -> Tracer:
    """
    A canary gets traffic once its Job has succeeded; the Job goes with the rollout.
    """
    story = _judged(ACCEPTANCE, says=others.GOOD)
    story.turns(25)
    assert story.world.memory.stable == revision("v2")
    assert not story.world.others.jobs
    return story


def job_failed() -> Tracer:
    """
    A canary whose Job fails never gets traffic; a retry makes the Job anew.
    """
    story = _judged(ACCEPTANCE, says=others.BAD)
    story.turns(10)
    assert story.world.memory.history[0].outcome is Outcome.ABORTED
    story.say("the test was wrong and is mended; somebody tries again")
    story.world.natures["v2"] = Nature(1)
    story.world.want(action="retry@v2")
    story.turns(8)
    return story


def job_unmeasured() -> Tracer:
    """
    A Job that cannot run says nothing: the canary waits without traffic until it can.
    """
    story = _judged(ACCEPTANCE, says=others.ERROR)
    story.turns(8)
    assert story.world.memory.canary is not None
    story.say("what kept it from running is mended")
    story.world.others.mended = True
    story.turns(4)
    return story


def page_failed() -> Tracer:
    """
    Bad answers in a row take a canary back.
    """
    story = _judged(PAGE, says=others.BAD)
    story.turns(14)
    assert story.world.memory.history[0].outcome is Outcome.ABORTED
    return story


def page_unmeasured() -> Tracer:
    """
    While nobody answers the canary keeps its share, and goes on when somebody does.
    """
    story = _judged(PAGE, says=others.ERROR)
    story.turns(12)
    assert story.world.memory.canary is not None
    story.say("the page answers again")
    story.world.others.mended = True
    story.turns(16)
    assert story.world.memory.stable == revision("v2")
    return story


STORIES: list[Story] = [job_succeeded, job_failed, job_unmeasured, page_failed, page_unmeasured]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_trace_is_the_golden_one(story: Story, request: pytest.FixtureRequest) -> None:
    """
    Each story goes as its golden trace says; `--update-golden` writes it anew.
    """
    update = bool(request.config.getoption("--update-golden"))
    hold_to_golden(story, TESTDATA / f"{story.__name__}.trace", update=update)
