"""Puts together everything that watches requests: metrics, access log, traces, request logs."""

import logging
import os
import sys
from collections.abc import Callable, Iterable

from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.recording.limits import Limits
from modeldeploy_runtime.recording.log import RequestLog
from modeldeploy_runtime.settings import Settings
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.request_logging import RequestLogging
from modeldeploy_runtime.telemetry import traces
from modeldeploy_runtime.telemetry.access_log import AccessLog
from modeldeploy_runtime.telemetry.calls import Watcher
from modeldeploy_runtime.telemetry.metrics import Metrics, StateSource
from modeldeploy_runtime.telemetry.observer import Observer
from modeldeploy_runtime.telemetry.traces import Traces

_log = logging.getLogger(__name__)


class Observing:
    """What a server needs to be watched; ``close`` when the last request has been answered."""

    def __init__(self, settings: Settings, states: StateSource) -> None:
        """
        Begin to watch.

        Raises:
            FlagError: Traces are asked for by a flag and cannot be made.
        """
        self._default = RequestLogging(
            settings.request_logging_prefix, settings.request_logging_rate
        )
        self.metrics = Metrics(states)
        self._traces = _traces(settings)
        watchers: list[Watcher] = []
        if settings.access_log:
            watchers.append(AccessLog(sys.stdout, settings.access_log).write)
        if self._traces:
            watchers.append(self._traces.write)
        self.observer = Observer(self.metrics, watchers)
        limits = Limits(
            file_bytes=settings.request_logging_file_bytes,
            file_seconds=settings.request_logging_file_age,
            record_bytes=settings.request_logging_record_bytes,
        )
        tags = tuple(settings.saved_model_tags.split(","))
        self.request_log = RequestLog(limits, tags, self.metrics.request_logged)

    def configure(self, models: Iterable[ServedModel]) -> None:
        """Log the requests of the models that want it, as their configuration says."""
        self.request_log.configure(
            {
                model.name: wanted
                for model in models
                if (wanted := model.logging or self._default).prefix and wanted.rate
            }
        )

    def close(self, timeout: float) -> None:
        """Write and send what is left, within about so many seconds."""
        self.request_log.close(timeout)
        self.observer.close(timeout)
        if self._traces:
            self._traces.close(timeout)


def _traces(settings: Settings, make: Callable[[str], Traces] = Traces) -> Traces | None:
    if not traces.are_wanted(settings.otlp_endpoint, os.environ):
        return None
    try:
        return make(settings.otlp_endpoint)
    except traces.NoTracingError as error:
        if settings.otlp_endpoint:
            raise FlagError(f"--otlp_endpoint cannot be used: {error}") from error
        # Whole clusters set OpenTelemetry's variables; that is no reason not to serve.
        _log.warning("There will be no traces: %s", error)
        return None
