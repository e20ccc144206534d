"""
The versions in a status: what their pods are at, in TensorFlow Serving's words.
"""

import pytest

from modeldeploy_operator.resource.status import versions_of
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Canary, Memory, Revision
from modeldeploy_operator.rollout.snapshot import Failure, Pool, Routing, Snapshot
from modeldeploy_operator.rollout.states import State
from testkit.world import START

MEMORY = Memory(stable=Revision("r1", "1"))
ROUTING = Routing({"a": "r1", "b": "r2"}, "r1", versions={"2": "r2"})


def decided(routing: Routing | None = ROUTING, **pools: int) -> Decision:
    """
    Build a decision about some pools.
    """
    return Decision(MEMORY, State.STEADY, "Stable", "", pools=pools, routing=routing)


@pytest.mark.parametrize(
    ("pool", "state", "message"),
    [
        (Pool(1, 1), "AVAILABLE", ""),
        (Pool(2, 1, Failure("Unschedulable", "No node.")), "AVAILABLE", "No node."),
        (Pool(1, 0, stage="LoadingModel"), "LOADING", "Waiting until the model is loaded."),
        (Pool(1, 0, stage="FetchingModel"), "START", "Waiting until the model is fetched."),
        (Pool(1, 0, Failure("ImagePullBackOff", "No image.")), "START", "No image."),
        (Pool(1, 0, Failure("VersionNotFound", "No 2.", permanent=True)), "END", "No 2."),
    ],
)
def test_a_versions_state(pool: Pool, state: str, message: str) -> None:
    """
    A failure tells more than a stage, and only a permanent one ends a version.
    """
    found = versions_of(decided(r1=1, r2=1), Snapshot({"r2": pool}, kept={"r2": "2"}))
    assert [(v.version, v.state, v.message) for v in found] == [("2", state, message)]


def test_who_is_on_the_way_out_is_unloading() -> None:
    """
    A pool that nothing leads to any more unloads, and so does one that is not wanted.
    """
    seen = Snapshot({"r1": Pool(1, 1), "r3": Pool(1, 1), "r4": Pool(1, 0)}, kept={"r3": "3"})
    found = versions_of(decided(r1=1, r3=1), seen)
    assert [(v.version, v.state) for v in found] == [
        ("", "UNLOADING"), ("1", "AVAILABLE"), ("3", "UNLOADING")
    ]  # fmt: skip


def test_versions_stand_in_order() -> None:
    """
    They are ordered by number, the one being tried with them, and nothing is needed for it.
    """
    canary = Canary(Revision("r10", "10"), 0, "", START)
    decision = decided(None, r1=1, r10=1)
    decision = Decision(
        Memory(MEMORY.stable, canary), decision.state, "", "", decision.pools, decision.routing
    )
    seen = Snapshot({"r10": Pool(1, 1, created="2026-01-01T00:00:00Z"), "r1": Pool(1, 1)})
    found = versions_of(decision, seen)
    assert [(v.version, v.created) for v in found] == [("1", ""), ("10", "2026-01-01T00:00:00Z")]
