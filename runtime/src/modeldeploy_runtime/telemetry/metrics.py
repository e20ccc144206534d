"""
What the server counts, for Prometheus.

Labels never hold what a client may invent: a model that does not exist is counted as ``_unknown``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import State
from modeldeploy_runtime.telemetry.histogram import Histogram, exponential_buckets

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
UNKNOWN = "_unknown"

# Each bound is less than 10 % above the one before, so that a share of slow requests is exact
# enough to compare two versions by.
LATENCY_BOUNDS = exponential_buckets(100e-6, 60.0, 1.09)

StateSource = Callable[[], Iterable[tuple[ServableId, State]]]


@dataclass(slots=True)
class Call:
    """One request as the metrics see it; filled in while the request is answered."""

    entrypoint: str
    api: str
    model: str = UNKNOWN
    version: str = ""
    signature: str = ""

    def served_by(self, servable: ServableId) -> None:
        """Note which version answers."""
        self.model = servable.name
        self.version = str(servable.version)


class Metrics:
    """All metrics of one server; threads may call every method at any time."""

    def __init__(self, states: StateSource) -> None:
        # A series for the birth of each series would only double their number.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "modeldeploy_requests",
            "Requests answered, by canonical status code.",
            ("entrypoint", "api", "model", "version", "signature", "code"),
            registry=self._registry,
        )
        # Finding a counter by its labels costs more than counting.
        self._counters: dict[tuple[str, ...], Counter] = {}
        self._latency = Histogram(
            "modeldeploy_request_duration_seconds",
            "Time from a request's last byte to its answer, successful requests only.",
            ("entrypoint", "api", "model", "version", "signature"),
            LATENCY_BOUNDS,
        )
        self._registry.register(self._latency)
        self._registry.register(_States(states))
        ProcessCollector(registry=self._registry)

    def answered(self, call: Call, code: str, seconds: float) -> None:
        """Count one answered request."""
        labels = (call.entrypoint, call.api, call.model, call.version, call.signature)
        counter = self._counters.get((*labels, code))
        if counter is None:
            counter = self._counters[*labels, code] = self._requests.labels(*labels, code)
        counter.inc()
        if code == "OK":
            self._latency.observe(labels, seconds)

    def expose(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _States(Collector):
    """A gauge that is 1 for the state in which a version is."""

    def __init__(self, states: StateSource) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        """Ask for the states at each scrape."""
        family = GaugeMetricFamily(
            "modeldeploy_model_state",
            "1 for the state in which a version of a model is.",
            labels=("model", "version", "state"),
        )
        for servable, now in self._states():
            for state in State:
                labels = (servable.name, str(servable.version), state.value)
                family.add_metric(labels, float(state is now))
        yield family
