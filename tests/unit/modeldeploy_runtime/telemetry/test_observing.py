"""
What is told of requests that have been answered: access log, background work.
"""

import io
import json
import threading

import pytest

from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.telemetry import traces
from modeldeploy_runtime.telemetry.access_log import AccessLog
from modeldeploy_runtime.telemetry.background import Background
from modeldeploy_runtime.telemetry.calls import Call, Observation

TRACE = "0af7651916cd43dd8448eb211c80319c"


def _seen(**fields: object) -> Observation:
    call = Call("REST", "predict")
    call.served_by(ServableId("a model", 3))
    for name, value in fields.items():
        setattr(call, name, value)
    return Observation(call, "OK", 0.0125, 1_750_000_000.25, 100.0)


def _line(log_format: str, seen: Observation) -> str:
    stream = io.StringIO()
    AccessLog(stream, log_format).write([seen])
    return stream.getvalue()


def test_json_line() -> None:
    """
    A line says who asked for what, who answered, how, and how long it took.
    """
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    seen = _seen(
        signature="serving_default",
        peer="10.0.0.1:5000",
        request_bytes=12,
        response_bytes=34,
        run_seconds=0.001,
        headers=headers,
    )
    line = _line("json", seen)
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "time": "2025-06-15T15:06:40.250Z",
        "peer": "10.0.0.1:5000",
        "entrypoint": "REST",
        "method": "predict",
        "model": "a model",
        "version": "3",
        "signature": "serving_default",
        "code": "OK",
        "ms": 12.5,
        "run_ms": 1.0,
        "request_bytes": 12,
        "response_bytes": 34,
        "trace_id": TRACE,
    }


def test_plain_line() -> None:
    """
    A value cannot pass for another field or another line.
    """
    line = _line("plain", _seen(signature="x\ncode=INTERNAL"))
    assert line.startswith("2025-06-15T15:06:40.250Z peer=- entrypoint=REST method=predict ")
    assert 'model="a model" version=3 signature="x\\ncode=INTERNAL" code=OK ms=12.5' in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("header", ["", "00-xyz-b7ad6b7169203331-01", f"00-{TRACE}"])
def test_a_bad_traceparent_is_none(header: str) -> None:
    """
    What is no traceparent names no trace.
    """
    assert _seen(headers={"traceparent": header}).call.trace_id == ""


def test_background_keeps_the_order_and_drops_what_is_too_much() -> None:
    """
    Items come in order; those that find the queue full are counted, and the end waits for the rest.
    """
    busy, go_on = threading.Event(), threading.Event()
    handled: list[int] = []

    def handle(group: list[int]) -> None:
        busy.set()
        go_on.wait(10.0)
        handled.extend(group)

    work = Background("test", handle, limit=3)
    work.put(0)
    assert busy.wait(10.0)
    for number in range(1, 6):
        work.put(number)
    go_on.set()
    work.close(10.0)
    assert handled == [0, 1, 2, 3]
    assert work.dropped == 2


def test_background_survives_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """
    A group that cannot be handled is logged, and the next one is handled.
    """
    handled: list[int] = []
    failed = threading.Event()

    def handle(group: list[int]) -> None:
        if not failed.is_set():
            failed.set()
            raise ValueError("No.")
        handled.extend(group)

    work = Background("test", handle)
    work.put(1)
    assert failed.wait(10.0)
    work.put(2)
    work.close(10.0)
    assert handled == [2]
    assert "test failed" in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "environment", "wanted"),
    [
        ("", {}, False),
        ("http://c:4318", {}, True),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_SDK_DISABLED": "true"}, False),
        ("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_off_unless_wanted(
    endpoint: str, environment: dict[str, str], *, wanted: bool
) -> None:
    """
    A flag or OpenTelemetry's variables name a collector; its variables also turn traces off.
    """
    assert traces.are_wanted(endpoint, environment) is wanted
