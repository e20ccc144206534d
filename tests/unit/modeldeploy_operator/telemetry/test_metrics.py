"""
Metrics of the operator follow the decisions, and go with their object.
"""

from dataclasses import replace
from datetime import timedelta

from prometheus_client import CollectorRegistry

from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Chapter, Memory, Outcome
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
    What ended before this process began is not counted; what ends now is, once, with its length.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    ended = replace(HOLDING, memory=Memory(history=(PROMOTED,)))
    metrics.observe("vision", "mnist", ended)
    counted = "modeldeploy_rollout_finished_total"
    assert registry.get_sample_value(counted, {**WHO, "outcome": "Promoted"}) is None
    later = replace(PROMOTED, revision="v3", started_at=NOW)
    for _ in range(2):
        metrics.observe(
            "vision", "mnist", replace(HOLDING, memory=Memory(history=(later, PROMOTED)))
        )
    assert registry.get_sample_value(counted, {**WHO, "outcome": "Promoted"}) == 1
    length = "modeldeploy_rollout_duration_seconds_sum"
    assert registry.get_sample_value(length, {"outcome": "Promoted"}) == 45


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
