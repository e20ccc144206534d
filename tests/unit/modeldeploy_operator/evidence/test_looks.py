"""
When a look is taken, and what is remembered of it.
"""

from dataclasses import replace
from datetime import timedelta

from modeldeploy_operator.analysis.checks import Check, Criteria, Evidence
from modeldeploy_operator.analysis.judge import Analysis
from modeldeploy_operator.analysis.kinds import ErrorRate
from modeldeploy_operator.analysis.tally import Tally
from modeldeploy_operator.evidence.counters import Instance, Look
from modeldeploy_operator.evidence.looks import Looks, due
from modeldeploy_operator.rollout.decision import Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory, Outcome, Withdrawal
from testkit.objects import NOW
from testkit.world import revision, steps_of

CHECKS = (Check("errors", ErrorRate(max=0.01)),)
WANTED = Wanted(revision("v2"), 2, steps_of(10), criteria=Criteria(CHECKS, interval=30))
CANARY = Canary(revision("v2"), 0, "", NOW)
MEMORY = Memory(stable=revision("v1"), canary=CANARY)
KEY = ("vision", "mnist")


def _look(attempts: int) -> Look:
    return Look({Instance("r", "1", "v2"): {"attempts": attempts, "faults": 0}})


def test_looks_are_due_only_while_a_canary_is_tried() -> None:
    """
    Not without a canary, not for one that is being withdrawn, not before the interval is over.
    """
    going = replace(CANARY, withdrawal=Withdrawal(Outcome.ABORTED, "Aborted", ""))
    looked = replace(CANARY, analysis=Analysis(NOW))
    assert due(WANTED, MEMORY, NOW) == CHECKS
    assert due(WANTED, replace(MEMORY, canary=None), NOW) == ()
    assert due(WANTED, replace(MEMORY, canary=going), NOW) == ()
    assert due(WANTED, replace(MEMORY, canary=looked), NOW + timedelta(seconds=29)) == ()


def test_a_look_counts_once_it_is_kept() -> None:
    """
    A pass whose status could not be written leaves its look for the next one.
    """
    looks = Looks()
    assert looks.evidence(KEY, _look(5), WANTED, MEMORY) == Evidence()
    looks.keep(KEY, _look(5))
    for _ in range(2):
        assert looks.evidence(KEY, _look(8), WANTED, MEMORY) == Evidence(canary=Tally(3))
    looks.keep(KEY, _look(8))
    looks.keep(KEY, None)
    assert looks.evidence(KEY, _look(9), WANTED, MEMORY) == Evidence(canary=Tally(1))
    looks.forget(KEY)
    assert looks.evidence(KEY, _look(9), WANTED, MEMORY) == Evidence()
    assert looks.evidence(KEY, None, WANTED, MEMORY) is None
    assert looks.evidence(KEY, _look(9), WANTED, Memory()) is None


def _routed(stable: int, canary: int) -> Look:
    return Look(
        {
            Instance("r", "1", "v1"): {"attempts": stable, "faults": 0},
            Instance("r", "1", "v2"): {"attempts": canary, "faults": 0},
        }
    )


def test_shares_are_told_once_an_interval() -> None:
    """
    The share is that of the requests since the last time, and nothing where nobody sent any.
    """
    looks, later = Looks(), NOW + timedelta(seconds=30)
    assert looks.shares(KEY, _routed(100, 0), WANTED, MEMORY, NOW) == {}
    early = NOW + timedelta(seconds=29)
    assert looks.shares(KEY, _routed(120, 9), WANTED, MEMORY, early) == {}
    assert looks.shares(KEY, _routed(190, 10), WANTED, MEMORY, later) == {"v1": 0.9, "v2": 0.1}
    latest = later + timedelta(seconds=30)
    assert looks.shares(KEY, _routed(190, 10), WANTED, MEMORY, latest) == {}
    assert looks.shares(KEY, _routed(190, 10), WANTED, Memory(), latest) == {}
    assert looks.shares(KEY, _routed(200, 20), WANTED, MEMORY, latest) == {}
    looks.forget(KEY)
    assert looks.shares(KEY, _routed(300, 30), WANTED, MEMORY, latest + latest.resolution) == {}
