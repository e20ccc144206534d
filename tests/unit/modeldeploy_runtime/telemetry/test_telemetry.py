"""
Logs and metrics.
"""

import itertools
import json
import logging
import math

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import State, VersionStatus
from modeldeploy_runtime.telemetry import catalogue, exposition, logs, metrics
from modeldeploy_runtime.telemetry.calls import Call
from modeldeploy_runtime.telemetry.exposition import Buckets, Definition, Family
from modeldeploy_runtime.telemetry.metrics import Metrics

M2 = ServableId("m", 2)
AVAILABLE = VersionStatus(2, State.AVAILABLE, load_seconds=1.5, memory_bytes=4096)


def _read(measured: Metrics) -> dict[str, Metric]:
    """
    Read the page as Prometheus does.
    """
    text = measured.expose().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def _values(family: Metric, suffix: str = "") -> dict[tuple[str, ...], float]:
    """
    Give the samples of a family by the values of their labels, in the labels' alphabetical order.
    """
    if family.type == "counter":
        # So the parser calls a counter's samples, whatever the page calls them.
        suffix = "_total"
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for sample in family.samples
        if sample.name == family.name + suffix
    }


def _answered(measured: Metrics, code: str = "OK", **fields: object) -> None:
    call = Call("REST", "predict")
    call.served_by(M2)
    call.signature = "serving_default"
    for name, value in fields.items():
        setattr(call, name, value)
    measured.answered(call, code, 0.5)


def test_latency_buckets_are_fine() -> None:
    """
    Every bucket is at most 10 % wide, from 0.1 ms to a minute.
    """
    bounds = catalogue.LATENCY_BOUNDS
    assert (bounds[0], bounds[-1]) == (1e-4, 60.0)
    assert all(high / low <= 1.1 for low, high in itertools.pairwise(bounds))


def test_tensorflow_buckets() -> None:
    """
    The bounds are those of TensorFlow's exponential buckets, as its exporter writes them.
    """
    bounds = [f"{bound:.6g}" for bound in catalogue.TF_REQUEST_LATENCY.bounds]
    assert bounds[:6] == ["10", "18", "32.4", "58.32", "104.976", "188.957"]
    assert (len(bounds), bounds[-1]) == (33, "1.47476e+09")
    assert catalogue.TF_EXAMPLE_COUNTS.bounds == tuple(2.0**n for n in range(15))
    assert len(catalogue.TF_QUEUING_LATENCY.bounds) == 52
    assert catalogue.TF_PADDING_SIZE.bounds[-1] == 2.0**13


def test_text() -> None:
    """
    A histogram's buckets add up; labels are escaped; TensorFlow's names come without help.
    """
    own = Definition("own", "histogram", (), "Ours.", (1.0, 60.0))
    theirs = Definition(":t:f", "counter", ("a", "b"), "Theirs.")
    families = [
        Family(own, {(): Buckets((1, 0, 2), 7.5)}),
        Family(theirs, {('"\\\n', "x"): 3}),
        Family(Definition(":t:g", "gauge", (), "None yet.")),
    ]
    assert exposition.write(families).splitlines() == [
        "# HELP own Ours.",
        "# TYPE own histogram",
        'own_bucket{le="1.0"} 1',
        'own_bucket{le="60.0"} 1',
        'own_bucket{le="+Inf"} 3',
        "own_sum{} 7.5",
        "own_count{} 3",
        "# TYPE :t:f counter",
        ':t:f{a="\\"\\\\\\n",b="x"} 3',
        "# TYPE :t:g gauge",
    ]


def test_requests() -> None:
    """
    A request counts under both names: by code, and by time where it succeeded.
    """
    measured = Metrics(lambda: [(M2, AVAILABLE)])
    _answered(measured, run_seconds=0.25)
    _answered(measured, "INVALID_ARGUMENT")
    measured.answered(Call("GRPC", "predict"), "NOT_FOUND", 1.0)
    measured.answered(Call("GRPC", "status"), "OK", 1.0)
    measured.answered(Call("REST", "none"), "INVALID_ARGUMENT", 1.0)
    read = _read(measured)
    served = ("REST", "m", "serving_default", "2")
    assert _values(read["modeldeploy_requests"]) == {
        ("predict", "OK", *served): 1,
        ("predict", "INVALID_ARGUMENT", *served): 1,
        ("predict", "NOT_FOUND", "GRPC", "_unknown", "", ""): 1,
        ("status", "OK", "GRPC", "_unknown", "", ""): 1,
        ("none", "INVALID_ARGUMENT", "REST", "_unknown", "", ""): 1,
    }
    assert _values(read[":tensorflow:serving:request_count"]) == {
        ("m", "OK"): 1,
        ("m", "INVALID_ARGUMENT"): 1,
        ("_unknown", "NOT_FOUND"): 1,
        ("", "INVALID_ARGUMENT"): 1,
    }
    assert (
        _values(read["modeldeploy_request_duration_seconds"], "_sum")[("predict", *served)] == 0.5
    )
    failed = _values(read["modeldeploy_failed_request_duration_seconds"], "_count")
    assert failed[("predict", "INVALID_ARGUMENT", "REST", "m", "2")] == 1
    latency = read[":tensorflow:serving:request_latency"]
    assert _values(latency, "_sum") == {("predict", "REST", "m"): 500_000.0}
    runtime = read[":tensorflow:serving:runtime_latency"]
    assert _values(runtime, "_sum") == {("Predict", "m", "TF1"): 250_000.0}
    assert _values(read["modeldeploy_run_duration_seconds"], "_sum") == {
        ("m", "serving_default", "2"): 0.25
    }


def test_examples() -> None:
    """
    Examples are counted for the requests that have some.
    """
    measured = Metrics(lambda: [(M2, AVAILABLE)])
    _answered(measured, api="classify", examples=3)
    _answered(measured, api="predict")
    read = _read(measured)
    assert _values(read[":tensorflow:serving:request_example_count"]) == {("m",): 3}
    assert _values(read[":tensorflow:serving:request_example_counts"], "_count") == {("m",): 1}
    assert _values(read["modeldeploy_request_examples"]) == {("classify", "m", "2"): 3}


def test_loads_and_warm_ups() -> None:
    """
    A load counts with its stages, a warm-up with its records.
    """
    measured = Metrics(lambda: [(M2, AVAILABLE)])
    stages = {"restore_graph": 0.5, "init_graph": 0.25}
    measured.load_attempted(M2, "/m/2", "OK", stages)
    measured.load_attempted(M2, "/m/2", "UNAVAILABLE", {})
    measured.load_attempted(ServableId("m", 1), "/m/1", "OK", stages)
    measured.warmed_up(M2, "/m/2", "OK", 0.125, 7)
    read = _read(measured)
    attempts = read[":tensorflow:cc:saved_model:load_attempt_count"]
    assert _values(attempts) == {("/m/2", "success"): 1, ("/m/2", "fail"): 1}
    assert _values(read[":tensorflow:cc:saved_model:load_latency"]) == {("/m/2",): 750_000}
    by_stage = read[":tensorflow:cc:saved_model:load_latency_by_stage"]
    assert _values(by_stage, "_sum")[("/m/2", "init_graph")] == 250_000.0
    assert _values(read["modeldeploy_model_loads"])[("UNAVAILABLE", "m")] == 1
    warmup = read[":tensorflow:serving:model_warmup_latency"]
    assert _values(warmup, "_sum") == {("/m/2", "OK"): 125_000.0}
    assert _values(read[":tensorflow:serving:model_warmup_records_read"]) == {("/m/2", "OK"): 7}
    assert _values(read["modeldeploy_model_warmup_records"]) == {("m", "2"): 7}


def test_states() -> None:
    """
    Each version is in one state; a loaded one shows its memory and how long its load took.
    """
    read = _read(Metrics(lambda: [(ServableId("m", 3), VersionStatus(3, State.LOADING))]))
    states = _values(read["modeldeploy_model_state"])
    assert states == {("m", s.value, "3"): float(s is State.LOADING) for s in State}
    read = _read(Metrics(lambda: [(M2, AVAILABLE)]))
    assert _values(read["modeldeploy_model_memory_bytes"]) == {("m", "2"): 4096}
    assert _values(read["modeldeploy_model_load_duration_seconds"]) == {("m", "2"): 1.5}


def test_series_of_gone_versions_are_dropped() -> None:
    """
    However many versions come and go, only those that are known have series.
    """
    known = [(M2, AVAILABLE)]
    measured = Metrics(lambda: known)
    for version in range(3 * metrics.MANY_SERIES):
        call = Call("REST", "predict")
        call.served_by(ServableId("m", version))
        measured.answered(call, "OK", 0.5)
    assert len(measured._requests) <= metrics.MANY_SERIES + 1
    _answered(measured)
    read = _read(measured)
    assert {labels[-1] for labels in _values(read["modeldeploy_requests"])} == {"2"}
    assert _values(read[":tensorflow:serving:request_count"])[("m", "OK")] > metrics.MANY_SERIES


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
