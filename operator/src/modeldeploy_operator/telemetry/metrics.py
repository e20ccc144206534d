"""
Prometheus metrics of the operator.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Chapter
from modeldeploy_operator.rollout.states import State

WHO = ("namespace", "name")


class Metrics:
    """
    The operator's metrics; one of these for a process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reconciles = Counter(
            "modeldeploy_reconciles",
            "Passes over ModelDeployments.",
            ("result",),
            registry=registry,
        )
        self.seconds = Histogram(
            "modeldeploy_reconcile_seconds", "How long a pass took.", registry=registry
        )
        self._weight = Gauge(
            "modeldeploy_canary_weight_ratio", "The canary's desired share.", WHO, registry=registry
        )
        self._state = Gauge(
            "modeldeploy_rollout_state",
            "1 for the state that a rollout is in, 0 for the others.",
            (*WHO, "state"),
            registry=registry,
        )
        self._finished = Counter(
            "modeldeploy_rollout_finished",
            "Rollouts that ended, by outcome.",
            (*WHO, "outcome"),
            registry=registry,
        )
        self._duration = Histogram(
            "modeldeploy_rollout_duration_seconds",
            "How long rollouts took, by outcome.",
            ("outcome",),
            buckets=(10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 86400),
            registry=registry,
        )
        self._last: dict[tuple[str, str], Chapter | None] = {}

    def observe(self, namespace: str, name: str, decision: Decision) -> None:
        """
        Take a decision's figures; a rollout that ended is counted once.
        """
        routing, memory = decision.routing, decision.memory
        weight = routing.weight / 10_000 if routing else 0.0
        self._weight.labels(namespace, name).set(weight)
        for state in State:
            self._state.labels(namespace, name, state).set(state is decision.state)
        newest = memory.history[0] if memory.history else None
        known = (namespace, name) in self._last
        before = self._last.get((namespace, name))
        self._last[(namespace, name)] = newest
        if newest is None or not known or newest == before:
            return
        self._finished.labels(namespace, name, newest.outcome).inc()
        duration = (newest.finished_at - newest.started_at).total_seconds()
        self._duration.labels(newest.outcome).observe(duration)

    def forget(self, namespace: str, name: str) -> None:
        """
        Drop the series of a ModelDeployment that is gone.
        """
        if self._last.pop((namespace, name), "unknown") == "unknown":
            return
        who = {"namespace": namespace, "name": name}
        self._finished.remove_by_labels(who)
        self._weight.remove(namespace, name)
        for state in State:
            self._state.remove(namespace, name, state)
