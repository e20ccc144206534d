"""
Endings: what is written into the history, and the guards that no pass ever reaches.
"""

from datetime import timedelta

import pytest

from modeldeploy_operator.rollout import decide, endings, trial
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Memory, Outcome
from modeldeploy_operator.rollout.snapshot import Snapshot
from testkit.objects import NOW
from testkit.world import revision, steps_of

V1 = revision("v1")
WANTED = Wanted(V1, 1, steps_of(10))
STABLE = Memory(stable=V1)


def test_the_history_holds_the_last_ten() -> None:
    """
    The newest chapter comes first, and the eleventh goes.
    """
    memory = Memory()
    for number in range(12):
        later = NOW + timedelta(minutes=number)
        memory = endings.close(memory, revision(f"v{number}"), Outcome.PROMOTED, NOW, later, "")
    assert [chapter.revision for chapter in memory.history] == [f"v{n}" for n in range(11, 1, -1)]
    assert memory.history[0].finished_at == NOW + timedelta(minutes=11)


def test_the_guards_speak() -> None:
    """
    What callers must never ask fails with a sentence that says so, instead of going on wrongly.
    """
    with pytest.raises(AssertionError, match="only a stable revision is steady"):
        endings.steady(V1, WANTED, Memory(), Snapshot(), NOW)
    with pytest.raises(AssertionError, match="only a stable revision is steady"):
        endings._steady_reason(V1, WANTED, Memory(), Snapshot())
    with pytest.raises(AssertionError, match="only a marked canary is withdrawn"):
        endings.withdraw(WANTED, STABLE, Snapshot(), NOW)
    with pytest.raises(AssertionError, match="only a marked canary is withdrawn"):
        endings._withdrawn(WANTED, STABLE, Snapshot(), NOW)
    with pytest.raises(AssertionError, match="no more steps than its spec"):
        decide._try(V1, WANTED, STABLE, Snapshot(), NOW)


def test_without_a_canary_nothing_is_advanced() -> None:
    """
    A memory without a canary comes back as it was.
    """
    assert trial.advance(WANTED, STABLE, Snapshot(), NOW) == STABLE
