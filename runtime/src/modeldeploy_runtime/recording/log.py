"""Chooses the requests that are logged, and hands them to the log of their model."""

import functools
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping

from modeldeploy_runtime.inference.answered.exchanges import Exchange
from modeldeploy_runtime.recording import records
from modeldeploy_runtime.recording.limits import Limits
from modeldeploy_runtime.recording.records import About
from modeldeploy_runtime.recording.sink import Entry, Sink
from modeldeploy_runtime.sources.request_logging import RequestLogging
from modeldeploy_runtime.telemetry.calls import Call

_log = logging.getLogger(__name__)


class RequestLog:
    """
    The logs of all models; threads may call every method at any time.

    ``count`` is told of each sampled request the model and what became of it; ``tags`` are those
    of the SavedModels that are served.
    """

    def __init__(
        self, limits: Limits, tags: tuple[str, ...], count: Callable[[str, str], None]
    ) -> None:
        self._limits = limits
        self._tags = tags
        self._count = count
        self._lock = threading.Lock()
        # Replaced as a whole, so that requests read it without a lock.
        self._sinks: dict[str, Sink] = {}
        self._random = random.Random()  # noqa: S311 - sampling, no secret

    def configure(self, wanted: Mapping[str, RequestLogging]) -> None:
        """Log these models from now on, and no others."""
        with self._lock:
            before = self._sinks
            self._sinks = {
                model: before[model]
                if model in before and before[model].config == config
                else Sink(model, config, self._limits, self._count)
                for model, config in wanted.items()
            }
            kept = set(map(id, self._sinks.values()))
            for sink in before.values():
                if id(sink) not in kept:
                    sink.close()

    def wants(self, model: str) -> bool:
        """Draw whether a request of a model is logged; costs next to nothing where none are."""
        sink = self._sinks.get(model)
        return sink is not None and self._random.random() < sink.config.rate

    def record(self, call: Call, exchange: Exchange) -> None:
        """Log a request that was answered; takes references and never blocks."""
        sink = self._sinks.get(call.model)
        if sink is None:
            return
        about = About(
            call.model,
            call.version,
            call.signature,
            int(time.time()),
            sink.config.rate,
            self._tags,
        )
        work = functools.partial(records.serialize, about, exchange)
        sink.put(Entry(work, records.size(exchange)))

    def close(self, timeout: float) -> None:
        """Write what is there and end, within so many seconds."""
        with self._lock:
            sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink.close()
        end = time.monotonic() + timeout
        for model, sink in sinks.items():
            if not sink.join(max(0.0, end - time.monotonic())):
                _log.warning(
                    "The end of the request log of %s is lost: its storage took too long.", model
                )
