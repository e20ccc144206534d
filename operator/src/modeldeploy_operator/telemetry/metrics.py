"""
Prometheus metrics of the operator.
"""

from collections.abc import Sequence

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
        self._running = Gauge(
            "modeldeploy_rollout_running",
            "How many ModelDeployments have a canary.",
            registry=registry,
        )
        self._known: set[tuple[str, str]] = set()
        self._tried: set[tuple[str, str]] = set()

    def finished(
        self, namespace: str, name: str, before: Sequence[Chapter], now: Sequence[Chapter]
    ) -> None:
        """
        Count the rollouts that ended in a pass, once their chapters are written.

        Args:
            namespace: Of the ModelDeployment.
            name: Of the ModelDeployment.
            before: The history as it was read.
            now: The history as it was written.

        """
        for chapter in now:
            if chapter in before:
                continue
            self._known.add((namespace, name))
            self._finished.labels(namespace, name, chapter.outcome).inc()
            duration = (chapter.finished_at - chapter.started_at).total_seconds()
            self._duration.labels(chapter.outcome).observe(duration)

    def observe(self, namespace: str, name: str, decision: Decision) -> None:
        """
        Take a decision's figures.
        """
        self._known.add((namespace, name))
        weight = decision.routing.weight / 10_000 if decision.routing else 0.0
        self._weight.labels(namespace, name).set(weight)
        for state in State:
            self._state.labels(namespace, name, state).set(state is decision.state)
        tried = {(namespace, name)} if decision.memory.canary else set()
        self._tried = (self._tried - {(namespace, name)}) | tried
        self._running.set(len(self._tried))

    def forget(self, namespace: str, name: str) -> None:
        """
        Drop the series of a ModelDeployment that is gone.
        """
        if (namespace, name) not in self._known:
            return
        self._known.discard((namespace, name))
        self._tried.discard((namespace, name))
        self._running.set(len(self._tried))
        who = {"namespace": namespace, "name": name}
        self._finished.remove_by_labels(who)
        self._weight.remove_by_labels(who)
        self._state.remove_by_labels(who)
