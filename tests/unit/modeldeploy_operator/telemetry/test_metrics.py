"""
Metrics of the operator follow the decisions, and go with their object.
"""

from dataclasses import replace
from datetime import timedelta

from prometheus_client import CollectorRegistry

from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Canary, Chapter, Memory, Outcome, Revision
from modeldeploy_operator.rollout.snapshot import Routing
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.telemetry.metrics import Metrics
from testkit.objects import NOW

WHO = {"namespace": "vision", "name": "mnist"}
HOLDING = Decision(
    memory=Memory(),
    state=State.HOLDING,
    reason="Holding",
    message="",
    routing=Routing({"a": "v1", "b": "v2"}, "v1", "v2", 1_000),
)
PROMOTED = Chapter("v2", "2", Outcome.PROMOTED, NOW, NOW + timedelta(seconds=45), "")


def test_a_decision_is_seen_in_its_figures() -> None:
    """
    The weight is a ratio, and exactly one state is 1.
    """
    registry = CollectorRegistry()
    Metrics(registry).observe("vision", "mnist", HOLDING)
    assert registry.get_sample_value("modeldeploy_canary_weight_ratio", WHO) == 0.1
    states = {
        state: registry.get_sample_value("modeldeploy_rollout_state", {**WHO, "state": state})
        for state in State
    }
    assert states.pop(State.HOLDING) == 1
    assert set(states.values()) == {0}


def test_without_routing_the_weight_is_nothing() -> None:
    """
    Before anything is published the canary's share is 0.
    """
    registry = CollectorRegistry()
    Metrics(registry).observe("vision", "mnist", replace(HOLDING, routing=None))
    assert registry.get_sample_value("modeldeploy_canary_weight_ratio", WHO) == 0


def test_a_rollout_counts_when_it_ends_and_not_after_a_restart() -> None:
    """
    What stood in the history when it was read is not counted; what ends now is, with its length.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    counted, length = "modeldeploy_rollout_finished_total", "modeldeploy_rollout_duration_seconds"
    metrics.finished("vision", "mnist", (PROMOTED,), (PROMOTED,))
    assert registry.get_sample_value(counted, {**WHO, "outcome": "Promoted"}) is None
    aborted = replace(PROMOTED, revision="v3", outcome=Outcome.ABORTED)
    later = replace(PROMOTED, revision="v4")
    metrics.finished("vision", "mnist", (PROMOTED,), (later, aborted, PROMOTED))
    metrics.finished("vision", "mnist", (later, aborted), (later, aborted))
    for outcome in ("Promoted", "Aborted"):
        assert registry.get_sample_value(counted, {**WHO, "outcome": outcome}) == 1
        assert registry.get_sample_value(f"{length}_sum", {"outcome": outcome}) == 45


def test_running_rollouts_are_counted() -> None:
    """
    A ModelDeployment with a canary is a running rollout, until it has none or is gone.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    canary = Canary(Revision("v2", "2"), 0, "", NOW)
    trying = replace(HOLDING, memory=Memory(canary=canary))
    for name in ("one", "two", "three", "three"):
        metrics.observe("vision", name, trying)
    assert registry.get_sample_value("modeldeploy_rollout_running") == 3
    metrics.observe("vision", "one", HOLDING)
    assert registry.get_sample_value("modeldeploy_rollout_running") == 2
    metrics.forget("vision", "two")
    assert registry.get_sample_value("modeldeploy_rollout_running") == 1


def test_what_is_gone_leaves_no_gauge() -> None:
    """
    The gauges of a deleted object are dropped; of an unknown one there are none to drop.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.forget("vision", "mnist")
    metrics.observe("vision", "mnist", HOLDING)
    metrics.forget("vision", "mnist")
    assert registry.get_sample_value("modeldeploy_canary_weight_ratio", WHO) is None
    state = {**WHO, "state": "Holding"}
    assert registry.get_sample_value("modeldeploy_rollout_state", state) is None
