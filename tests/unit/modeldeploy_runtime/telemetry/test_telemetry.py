"""
Logs and metrics.
"""

import itertools
import json
import logging
import math

import pytest

from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import State
from modeldeploy_runtime.telemetry import logs, metrics
from modeldeploy_runtime.telemetry.histogram import Histogram
from modeldeploy_runtime.telemetry.metrics import Call, Metrics


def test_latency_buckets_are_fine() -> None:
    """
    Every bucket is at most 10 % wide, from 0.1 ms to a minute.
    """
    bounds = metrics.LATENCY_BOUNDS
    assert (bounds[0], bounds[-1]) == (1e-4, 60.0)
    assert all(high / low <= 1.1 for low, high in itertools.pairwise(bounds))


def test_histogram() -> None:
    """
    Observations are counted in the first bucket that holds them, and in all above.
    """
    histogram = Histogram("h", "A histogram.", ("who",), (1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 7.0):
        histogram.observe(("a",), value)
    (family,) = histogram.collect()
    samples = {(s.name, s.labels.get("le", "")): s.value for s in family.samples}
    assert samples == {
        ("h_bucket", "1.0"): 2.0,
        ("h_bucket", "2.0"): 3.0,
        ("h_bucket", "+Inf"): 4.0,
        ("h_count", ""): 4.0,
        ("h_sum", ""): 10.0,
    }


def test_exposition() -> None:
    """
    Requests are counted by code, latencies for successes alone, and states as they are now.
    """
    measured = Metrics(lambda: [(ServableId("m", 3), State.LOADING)])
    call = Call("GRPC", "predict")
    measured.answered(call, "NOT_FOUND", 1.0)
    call.served_by(ServableId("m", 2))
    call.signature = "serving_default"
    measured.answered(call, "OK", 0.5)
    text = measured.expose().decode()
    labels = 'api="predict",code="OK",entrypoint="GRPC",model="m",signature="serving_default"'
    assert f'modeldeploy_requests_total{{{labels},version="2"}} 1.0' in text
    assert 'code="NOT_FOUND",entrypoint="GRPC",model="_unknown"' in text
    counts = [line for line in text.splitlines() if "duration_seconds_count" in line]
    assert len(counts) == 1
    assert 'modeldeploy_model_state{model="m",state="LOADING",version="3"} 1.0' in text
    assert 'modeldeploy_model_state{model="m",state="END",version="3"} 0.0' in text


@pytest.mark.parametrize("log_format", ["plain", "json"])
def test_logs(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Each event is one line, and a JSON object where that is wanted.
    """
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.set_up(log_format)
        logging.getLogger("a.b").warning("Two\nlines: %s", math.pi)
    finally:
        root.handlers[:], root.level = before
    line = capsys.readouterr().err
    if log_format == "json":
        entry = json.loads(line)
        assert (entry["level"], entry["logger"]) == ("WARNING", "a.b")
        assert entry["message"].startswith("Two\nlines: 3.14")
    else:
        assert " WARNING a.b: Two" in line
