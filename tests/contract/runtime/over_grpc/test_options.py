"""
gRPC on a server that offers more and checks more than by default, with one thread for requests.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    session_service_pb2,
)

from testkit.model_servers import ModelServer, running

NAMES = ("half_plus_two", "kinds", "slow", "heads", "sums")
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def optional(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server with every flag that changes what gRPC offers.
    """
    folder = tmp_path_factory.mktemp("optional")
    config = folder / "models.config"
    listed = "".join(
        f'config {{ name: "{name}" base_path: "{models}/{name}" model_platform: "tensorflow" }}\n'
        for name in NAMES
    )
    config.write_text(f"model_config_list {{ {listed} }}")
    flags = (
        "--enable_serialization_as_tensor_content",
        "--enable_signature_method_name_check",
        "--enable_session_run",
        "--enable_reload_config_request=false",
        "--grpc_max_threads=1",
    )
    with running(folder, f"--model_config_file={config}", *flags) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def open_channel(optional: ModelServer) -> Iterator[grpc.Channel]:
    """
    A channel to it.
    """
    with grpc.insecure_channel(optional.target) as opened:
        yield opened


@pytest.fixture(scope="module")
def stub(open_channel: grpc.Channel) -> Any:
    """
    The stock stub of its PredictionService.
    """
    return prediction_service_pb2_grpc.PredictionServiceStub(open_channel)


@pytest.fixture(scope="module")
def session_run(open_channel: grpc.Channel) -> Any:
    """
    SessionRun with the stock messages, for which there is no stock stub in Python.
    """
    return open_channel.unary_unary(
        "/tensorflow.serving.SessionService/SessionRun",
        session_service_pb2.SessionRunRequest.SerializeToString,
        session_service_pb2.SessionRunResponse.FromString,
    )


def _request(model: str, signature: str = "", **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def _failure(call: Any, request: Any, timeout: float = 30) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=timeout)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, 2.0]], np.float32),
        np.array([2**63 - 1], np.int64),
        np.array([True, False]),
        np.array([1.5], ml_dtypes.bfloat16),
        np.array([1 + 2j], np.complex64),
        np.array([b"a", b"", b"\xff" * 200], object),
        np.array(7.0, np.float32),
        np.zeros((0, 2), np.float32),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_tensor_content(stub: Any, array: Any) -> None:
    """
    Answers come as raw bytes, which clients read as the same values.
    """
    signature = "string" if array.dtype == object else array.dtype.name
    returned = stub.Predict(_request("kinds", signature, x=array), timeout=30).outputs["y"]
    assert bool(returned.tensor_content) == bool(array.size)
    read = tf.io.parse_tensor(returned.SerializeToString(), tf.dtypes.as_dtype(signature)).numpy()
    np.testing.assert_array_equal(read, array)


def test_rest_beside_tensor_content(optional: ModelServer) -> None:
    """
    REST answers as ever.
    """
    answer = optional.predict("half_plus_two", {"instances": [1.0]})
    assert answer.json == {"predictions": [3.5]}


def test_method_names(stub: Any, optional: ModelServer) -> None:
    """
    A signature with a method of its own is refused, and one of another call's method is not.
    """
    examples = np.array([tf.train.Example().SerializeToString()], object)
    message = (
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: mine"
    )
    request = _request("heads", "unknown_method", inputs=examples)
    assert _failure(stub.Predict, request) == (grpc.StatusCode.INTERNAL, message)
    body = {"signature_name": "unknown_method", "instances": ["a"]}
    answer = optional.predict("heads", body)
    assert (answer.status, answer.error) == (500, message)
    code, message = _failure(stub.Predict, _request("heads", "regress", inputs=examples))
    assert (code, "is required but could not be found" in message) == (INVALID, True)


def _session(*fetches: str, **fields: Any) -> Any:
    request = session_service_pb2.SessionRunRequest(fetch=fetches)
    request.model_spec.name = fields.pop("model", "half_plus_two")
    request.target.extend(fields.pop("targets", ()))
    for name, value in fields.pop("feeds", {"serving_default_x:0": [1.0]}).items():
        tensor = tf.make_tensor_proto(np.array(value, np.float32))
        request.feed.add(name=name, tensor=tensor)
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def _fetched(response: Any) -> dict[str, Any]:
    return {found.name: tf.make_ndarray(found.tensor).tolist() for found in response.tensor}


def test_session_run(session_run: Any) -> None:
    """
    Tensors are fed and fetched by their names in the graph, fed ones among them.
    """
    request = _session("StatefulPartitionedCall:0", "serving_default_x:0")
    response = session_run(request, timeout=30)
    assert _fetched(response) == {
        "StatefulPartitionedCall:0": [3.5],
        "serving_default_x:0": [1.0],
    }
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half_plus_two", 2, "")


def test_session_run_by_alias(session_run: Any) -> None:
    """
    With aliases the names are those of the signature.
    """
    request = _session("y", feeds={"x": [1.0]}, tensor_name_is_alias=True)
    assert _fetched(session_run(request, timeout=30)) == {"y": [3.5]}
    request = _session("z", feeds={"x": [1.0]}, tensor_name_is_alias=True)
    assert _failure(session_run, request) == (
        INVALID,
        "tensor alias not found in signature: z Expected to be in the set {y}.",
    )


def test_session_run_of_an_operation(session_run: Any) -> None:
    """
    An operation may be run for its own sake.
    """
    assert _fetched(session_run(_session(targets=["StatefulPartitionedCall"]), timeout=30)) == {}


def test_session_run_errors(session_run: Any) -> None:
    """
    Unknown tensors and operations get TensorFlow's words, and unknown options are refused.
    """
    code, message = _failure(session_run, _session("none:0"))
    assert (code, "none:0" in message) == (INVALID, True)
    code, message = _failure(session_run, _session("y:0", feeds={"none:0": [1.0]}))
    assert "none:0" in message
    request = _session("StatefulPartitionedCall:0", model="m")
    assert _failure(session_run, request)[0] == grpc.StatusCode.NOT_FOUND
    request = _session("StatefulPartitionedCall:0")
    request.options.trace_level = config_pb2.RunOptions.FULL_TRACE
    assert _failure(session_run, request) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "Of the options of a SessionRun, this server knows timeout_in_ms only.",
    )
    assert _failure(session_run, session_service_pb2.SessionRunRequest()) == (
        INVALID,
        "Missing ModelSpec",
    )


def _answered(server: ModelServer, code: str) -> float:
    text = server.get("/monitoring/prometheus/metrics").body.decode()
    start = (
        f'modeldeploy_requests_total{{api="predict",code="{code}",entrypoint="GRPC",model="slow"'
    )
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(start))


def test_what_comes_too_late_does_not_run(stub: Any, optional: ModelServer) -> None:
    """
    A request whose deadline passes while it waits for a thread is never computed.
    """
    before = _answered(optional, "OK")
    quick = _request("slow", n=np.array([1], np.int32))
    long: Future[Any] = stub.Predict.future(_request("slow", n=np.array([300_000], np.int32)))
    assert _failure(stub.Predict, quick, timeout=0.05)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    assert not long.done()
    stub.Predict(quick, timeout=60)
    # Answered before, which the client's own thread may tell a moment later.
    assert long.result(timeout=10)
    assert _answered(optional, "OK") == before + 2


def test_a_long_run_is_not_waited_for(stub: Any) -> None:
    """
    The client of a run that takes longer than its deadline is told in time.
    """
    started = time.monotonic()
    request = _request("slow", n=np.array([300_000], np.int32))
    assert _failure(stub.Predict, request, timeout=0.2)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 2


def test_what_is_served_stays_where_a_flag_says_so(
    open_channel: grpc.Channel, optional: ModelServer
) -> None:
    """
    A reload is refused in one sentence, whatever it asks for, and nothing changes.
    """
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    reload = model_service_pb2_grpc.ModelServiceStub(open_channel).HandleReloadConfigRequest
    code, sentence = _failure(reload, request)
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert sentence == (
        "What this server serves cannot be replaced over gRPC: it was started with "
        "--enable_reload_config_request=false."
    )
    assert {model["name"] for model in optional.get("/v1/models").json["models"]} == set(NAMES)
