"""
OpenTelemetry traces: a span for each request, with one for its wait and one for the model.

The packages of the extra ``otel`` do the work and are imported only where traces are wanted, which
is where ``--otlp_endpoint`` or OpenTelemetry's own environment variables name a collector.  Spans
are made after the answer, in the background, from the times that were noted on the way.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any

from modeldeploy_runtime import __version__
from modeldeploy_runtime.telemetry.calls import NO_API, Call, Observation

NAME = "modeldeploy-server"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# Answers that are the server's fault; the others are the client's and no errors of a server's span.
_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNIMPLEMENTED"}
)

_log = logging.getLogger(__name__)


class NoTracingError(Exception):
    """Traces are wanted, and the packages for them are not installed."""


def are_wanted(endpoint: str, environment: Mapping[str, str]) -> bool:
    """Tell whether somebody has named a collector and nobody has turned traces off."""
    if endpoint:
        return True
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return False
    return any(environment.get(name) for name in _ENDPOINTS)


class Traces:
    """Makes spans and sends them to a collector over OTLP; for one thread."""

    def __init__(self, endpoint: str) -> None:
        """
        Prepare to send to a collector; without an endpoint the environment names it.

        Raises:
            NoTracingError: The packages of the extra ``otel`` are missing.
        """
        try:
            from opentelemetry import trace  # noqa: PLC0415 - an extra that few install
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - the same
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the same
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
            from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - the same
        except ImportError as error:
            raise NoTracingError(
                "Traces need packages that are not installed; "
                f"install them with: pip install 'modeldeploy-runtime[otel]' ({error})"
            ) from error
        # A collector that is away would otherwise be reported every few seconds.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._api = trace
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)
        service = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": NAME}
        self._provider = TracerProvider(
            resource=Resource.create({**service, "service.version": __version__})
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(NAME, __version__)
        self._context = tracecontext.TraceContextTextMapPropagator()

    def write(self, group: list[Observation]) -> None:
        """Make the spans of answered requests."""
        for seen in group:
            self._make(seen)

    def close(self, timeout: float) -> None:
        """Send what has not been sent yet, within so many seconds."""
        self._provider.force_flush(int(timeout * 1000))

    def _make(self, seen: Observation) -> None:
        call = seen.call

        def at(clock: float) -> int:
            """Turn a time of perf_counter into nanoseconds since 1970."""
            return int((seen.ended - (seen.ended_clock - clock)) * 1e9)

        span = self._tracer.start_span(
            _name(call),
            context=self._context.extract(call.headers),
            kind=self._api.SpanKind.SERVER,
            attributes=_attributes(seen),
            start_time=at(seen.ended_clock - seen.seconds),
        )
        if seen.code in _FAULTS:
            span.set_status(self._api.StatusCode.ERROR, seen.code)
        inside = self._api.set_span_in_context(span)
        for name, start, end in _parts(call):
            part = self._tracer.start_span(name, context=inside, start_time=at(start))
            part.end(at(end))
        span.end(at(seen.ended_clock))


def _name(call: Call) -> str:
    return f"{call.entrypoint} {call.api}" if call.api != NO_API else call.entrypoint


def _attributes(seen: Observation) -> dict[str, Any]:
    call = seen.call
    return {
        "modeldeploy.entrypoint": call.entrypoint,
        "modeldeploy.api": call.api,
        "modeldeploy.model": call.model,
        "modeldeploy.version": call.version,
        "modeldeploy.signature": call.signature,
        "modeldeploy.code": seen.code,
        "client.address": call.peer,
        "modeldeploy.request.bytes": call.request_bytes,
        "modeldeploy.response.bytes": call.response_bytes,
    }


def _parts(call: Call) -> list[tuple[str, float, float]]:
    """List the parts of a request by name, start and end, by ``time.perf_counter``."""
    parts = []
    if call.begun and call.taken:
        parts.append(("queue", call.begun, call.taken))
    if call.run_started:
        parts.append(("run", call.run_started, call.run_started + call.run_seconds))
    return parts
