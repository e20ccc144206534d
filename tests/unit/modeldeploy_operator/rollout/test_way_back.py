"""
The way back to a stable pool that had given pods up: in turns, or at once where waiting is no help.
"""

from dataclasses import replace
from datetime import timedelta

from modeldeploy_operator.rollout import endings
from modeldeploy_operator.rollout.decision import Decision, Wanted
from modeldeploy_operator.rollout.memory import Canary, Memory, Outcome, Withdrawal
from modeldeploy_operator.rollout.snapshot import Pool, Router, Routing, Snapshot
from modeldeploy_operator.rollout.strategy import steps
from testkit.objects import NOW
from testkit.world import revision, steps_of

STEPS = steps_of()
WANTED = Wanted(revision("v1"), 4, STEPS, progress_deadline=30, surge=1)
ORDER = Withdrawal(Outcome.ABORTED, "Aborted", "Somebody aborted.")
CANARY = Canary(
    revision("v2"),
    0,
    steps.fingerprint(STEPS),
    NOW,
    had_traffic=True,
    withdrawal=ORDER,
    shrunk=True,
)
MEMORY = Memory(stable=revision("v1"), canary=CANARY)
MOST = Routing({"a": "v1", "b": "v2"}, "v1", "v2", 7_500)


def _back(memory: Memory = MEMORY, later: float = 0, tripped: str = "", **ready: int) -> Decision:
    """
    Decide where three quarters are the canary's and stable has two pods; so many are ready.
    """
    ready = {"v1": 2, "v2": 3, **ready}
    pools = {"v1": Pool(2, ready["v1"]), "v2": Pool(3, ready["v2"])}
    seen = Snapshot(pools, MOST, 1, (Router(1, ready, tripped),))
    return endings.withdraw(WANTED, memory, seen, NOW + timedelta(seconds=later))


def _share(decision: Decision) -> int:
    return decision.routing.share("v2") if decision.routing else 0


def test_stable_gets_what_its_ready_pods_carry() -> None:
    """
    Two of four ready pods carry half; the canary keeps its pods until that is confirmed.
    """
    decision = _back()
    assert _share(decision) == 5_000
    assert decision.pools == {"v1": 2, "v2": 3}
    assert decision.message.endswith("Stable takes the traffic back pod by pod; 2 of 4 are ready.")
    canary = decision.memory.canary
    assert canary is not None
    assert canary.withdrawal == replace(ORDER, since=NOW, most_ready=2)


def test_nothing_is_waited_for_where_the_canary_cannot_answer() -> None:
    """
    A canary without a ready pod, or one that a router took out, loses everything at once.
    """
    assert _share(_back(v2=0)) == 0
    assert _share(_back(tripped="v2")) == 0


def test_the_deadline_ends_the_waiting_for_stable_pods() -> None:
    """
    Where no further stable pod becomes ready in time, those that are there get everything.
    """
    order = replace(ORDER, since=NOW, most_ready=2)
    waiting = replace(MEMORY, canary=replace(CANARY, withdrawal=order))
    assert _share(_back(waiting, later=29)) == 5_000
    assert _share(_back(waiting, later=30)) == 0
    fewer = replace(MEMORY, canary=replace(CANARY, withdrawal=replace(order, most_ready=1)))
    assert _share(_back(fewer, later=30)) == 5_000
