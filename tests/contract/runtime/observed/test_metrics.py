"""
The metrics of a running server, read as Prometheus reads them.
"""

from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from prometheus_client import Metric
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

HALF = {"instances": [1.0, 2.0]}
BUCKETS = {
    "request_latency": 33,
    "runtime_latency": 33,
    "model_warmup_latency": 33,
    "request_example_counts": 15,
}


def _values(family: Metric, suffix: str = "", **wanted: str) -> dict[tuple[str, ...], float]:
    """
    Give the values by the other labels' values, in the labels' order, for the labels wanted.
    """
    name = family.name + ("_total" if family.type == "counter" else suffix)
    return {
        tuple(
            value for key, value in sorted(sample.labels.items()) if key not in wanted
        ): sample.value
        for sample in family.samples
        if sample.name == name and wanted.items() <= sample.labels.items()
    }


def _value(family: Metric, suffix: str = "", **wanted: str) -> float:
    return sum(_values(family, suffix, **wanted).values())


def _examples(request: Any, count: int = 2) -> Any:
    for number in range(count):
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(float(number))
    return request


@pytest.fixture(scope="module")
def read(watched: Any) -> Mapping[str, Metric]:
    """
    The metrics after a known traffic.
    """
    server = watched.server
    for _ in range(3):
        assert server.predict("half", HALF).status == 200
    assert server.predict("half", {"instances": ["x"]}).status == 400
    assert server.predict("half/versions/99", HALF).status == 404
    assert server.request("POST", "/v1/models/half:predict", b"{").status == 400
    for number in range(30):
        assert server.predict(f"invented-{number}", HALF).status == 404
        assert server.get(f"/v1/models/invented-{number}/versions/{number}").status == 404
        assert server.predict("half", {"signature_name": f"s{number}", **HALF}).status == 400
    assert server.get("/v1/models/half").status == 200
    assert server.get("/v1/nothing").status == 400
    with grpc.insecure_channel(server.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "half"
        request.inputs["x"].dtype = 1
        request.inputs["x"].tensor_shape.dim.add().size = 1
        request.inputs["x"].float_val.append(4.0)
        assert list(stub.Predict(request).outputs["y"].float_val) == [5.0]
        classify = _examples(classification_pb2.ClassificationRequest())
        classify.model_spec.name = "heads"
        stub.Classify(classify)
        regress = _examples(regression_pb2.RegressionRequest())
        regress.model_spec.name, regress.model_spec.signature_name = "heads", "regress"
        stub.Regress(regress)
        several = _examples(inference_pb2.MultiInferenceRequest())
        for signature, verb in (("serving_default", "classify"), ("regress", "regress")):
            task = several.tasks.add(method_name=f"tensorflow/serving/{verb}")
            task.model_spec.name, task.model_spec.signature_name = "heads", signature
        stub.MultiInference(several)
        metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        metadata.model_spec.name = "half"
        stub.GetModelMetadata(metadata)
    found: Mapping[str, Metric] = watched.metrics()
    return found


def _tf(read: Mapping[str, Metric], name: str) -> Metric:
    return read[f":tensorflow:serving:{name}"]


def test_the_path_is_that_of_the_file(watched: Any) -> None:
    """
    The metrics are where --monitoring_config_file says, as text, and nowhere else.
    """
    assert watched.server.get("/monitoring/prometheus/metrics").status == 404
    answer = watched.server.get("/of/my/choice")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")


def test_request_count(read: Mapping[str, Metric]) -> None:
    """
    Predict, Classify and Regress over gRPC and everything over REST count by model and status.
    """
    counts = _tf(read, "request_count")
    assert counts.type == "counter"
    asked_for_status = _value(_tf(read, "request_latency"), "_count", model_name="half", API="")
    assert asked_for_status >= 1
    assert _value(counts, model_name="half", status="OK") == 4 + asked_for_status
    assert _value(counts, model_name="half", status="NOT_FOUND") >= 1
    assert _value(counts, model_name="half", status="INVALID_ARGUMENT") == 32
    assert _value(counts, model_name="heads", status="OK") >= 2
    assert _value(counts, model_name="_unknown", status="NOT_FOUND") == 60
    assert _value(counts, model_name="", status="INVALID_ARGUMENT") == 1


def test_request_latency(read: Mapping[str, Metric]) -> None:
    """
    Successes alone are timed, by model, API and entrypoint as TensorFlow Serving spells them.
    """
    latency = _tf(read, "request_latency")
    counts = {key: int(value) for key, value in _values(latency, "_count").items()}
    assert counts[("predict", "REST", "half")] == 3
    assert counts[("Predict", "GRPC", "half")] == 1
    assert counts[("Classify", "GRPC", "heads")] == counts[("Regress", "GRPC", "heads")] == 1
    assert counts[("", "REST", "half")] >= 1
    assert _value(latency, "_sum", model_name="half", API="predict") > 10


def test_runtime_latency(read: Mapping[str, Metric]) -> None:
    """
    The time inside the model is shown by model and API, and is part of the whole.
    """
    counts = _values(_tf(read, "runtime_latency"), "_count")
    assert counts[("Predict", "half", "TF1")] >= 4
    assert all(counts[(api, "heads", "TF1")] for api in ("Classify", "Regress", "MultiInference"))
    inside = _value(_tf(read, "runtime_latency"), "_sum", model_name="heads", API="Classify")
    whole = _value(_tf(read, "request_latency"), "_sum", model_name="heads", API="Classify")
    assert 0 < inside < whole


def test_examples(read: Mapping[str, Metric]) -> None:
    """
    The examples of Classify, Regress and MultiInference are counted.
    """
    assert _values(_tf(read, "request_example_count")) == {("heads",): 6}
    assert _value(_tf(read, "request_example_counts"), "_count", model="heads") == 3
    assert _value(read["modeldeploy_request_examples"], api="classify", version="1") == 2


@pytest.mark.parametrize(("name", "bounds"), BUCKETS.items())
def test_buckets(name: str, bounds: int, read: Mapping[str, Metric]) -> None:
    """
    The buckets are TensorFlow Serving's, and the infinite one.
    """
    family = _tf(read, name)
    assert family.type == "histogram"
    limits = [sample.labels["le"] for sample in family.samples if sample.name.endswith("_bucket")]
    unique = list(dict.fromkeys(limits))
    assert (len(unique), unique[-1]) == (bounds + 1, "+Inf")
    if name != "request_example_counts":
        assert unique[:5] == ["10", "18", "32.4", "58.32", "104.976"]


def test_loads(read: Mapping[str, Metric], models: Any) -> None:
    """
    Loads are counted and timed by the path of the version, and by model and code.
    """
    attempts = read[":tensorflow:cc:saved_model:load_attempt_count"]
    assert _value(attempts, model_path=f"{models}/half_plus_two/2", status="success") == 1
    assert _value(attempts, model_path=f"{models}/broken/1", status="fail") == 1
    load = read[":tensorflow:cc:saved_model:load_latency"]
    assert _value(load, model_path=f"{models}/half_plus_two/2") > 0
    stages = read[":tensorflow:cc:saved_model:load_latency_by_stage"]
    assert _value(stages, "_count", stage="restore_graph") == 3
    assert _value(read["modeldeploy_model_loads"], model="half", code="OK") == 1
    assert _value(read["modeldeploy_model_load_duration_seconds"], model="half") > 0
    assert _value(read["modeldeploy_model_memory_bytes"], model="half", version="2") > 0


def test_warm_up(read: Mapping[str, Metric], models: Any) -> None:
    """
    Warm-up with made-up inputs is counted, though some signatures cannot be called like that.
    """
    path = f"{models}/half_plus_two/2"
    assert _value(_tf(read, "model_warmup_latency"), "_count", model_path=path, status="OK") == 1
    assert _value(_tf(read, "model_warmup_records_read"), model_path=path, status="OK") == 1
    assert _value(read["modeldeploy_model_warmup_records"], model="half", version="2") == 1


def test_states_and_runs(read: Mapping[str, Metric]) -> None:
    """
    States, requests in flight and the runs of all models are shown.
    """
    states = read["modeldeploy_model_state"]
    assert _value(states, model="half", version="2", state="AVAILABLE") == 1
    assert _value(states, model="broken", version="1", state="END") == 1
    assert _value(read["modeldeploy_requests_in_flight"], entrypoint="REST") == 1
    assert _value(read["modeldeploy_requests_in_flight"], entrypoint="GRPC") == 0
    assert _value(read[":tensorflow:core:direct_session_runs"]) >= 7
    assert _value(read[":tensorflow:core:graph_run_time_usecs"]) > 0


def test_every_promised_metric_is_there(read: Mapping[str, Metric]) -> None:
    """
    Each name of TensorFlow Serving has its type, whether or not something happened.
    """
    for name, kind in (
        ("request_log_count", "counter"),
        ("mlmd_map", "gauge"),
        ("batching_session:queuing_latency", "histogram"),
        ("batching_session:wrapped_run_count", "counter"),
        ("batching_session:padding_size", "histogram"),
        ("batching_session:input_batch_size", "histogram"),
        ("batching_session:processed_batch_size", "histogram"),
    ):
        assert _tf(read, name).type == kind


def test_clients_cannot_make_series(read: Mapping[str, Metric]) -> None:
    """
    Names of models and signatures that clients invent appear nowhere.
    """
    values = {
        value
        for family in read.values()
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert not {value for value in values if value.startswith(("invented", "s1", "s2"))}
    assert {"_unknown", "half", "heads"} <= values
