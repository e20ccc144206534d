"""The one place that is told of every answered request: counts it, and hands it on."""

import time
from collections.abc import Sequence

from modeldeploy_runtime.telemetry import catalogue
from modeldeploy_runtime.telemetry.background import Background
from modeldeploy_runtime.telemetry.calls import Call, Observation, Watcher
from modeldeploy_runtime.telemetry.exposition import Family
from modeldeploy_runtime.telemetry.metrics import Metrics


class Observer:
    """
    Counts at once, and lets access log and traces look at a request when it has been answered.

    ``wants_details`` tells transports whether to note who asked, and how much was sent.
    """

    def __init__(self, metrics: Metrics, watchers: Sequence[Watcher] = ()) -> None:
        self.metrics = metrics
        self.wants_details = bool(watchers)
        self._watchers = tuple(watchers)
        self._later = Background("observe", self._show) if watchers else None
        metrics.add_source(self._families)

    def answered(self, call: Call, code: str, seconds: float) -> None:
        """Take note of a request that has been answered."""
        self.metrics.answered(call, code, seconds)
        if call.after is not None:
            call.after()
        if self._later is not None:
            seen = Observation(call, code, seconds, time.time(), time.perf_counter())
            self._later.put(seen)

    def expose(self, names: frozenset[str] = frozenset()) -> bytes:
        """Write the named metrics in Prometheus' text format, or all."""
        return self.metrics.expose(names)

    def close(self, timeout: float) -> None:
        """Show what has not been shown yet, within so many seconds."""
        if self._later is not None:
            self._later.close(timeout)

    def _show(self, group: list[Observation]) -> None:
        for watcher in self._watchers:
            watcher(group)

    def _families(self) -> tuple[Family, ...]:
        dropped = self._later.dropped if self._later else 0
        return (Family(catalogue.UNOBSERVED, {(): dropped}),)
