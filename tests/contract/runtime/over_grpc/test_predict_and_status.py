"""
gRPC with the stock stubs: what TensorFlow Serving's clients send and read.
"""

from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    session_service_pb2,
)

HALF = "half_plus_two"


def _request(model: str, signature: str = "", **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def _failure(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


@pytest.mark.requirement("row-1")
def test_predict(predictions: Any) -> None:
    """
    The newest version answers, says who it is, and puts its values where clients look for them.
    """
    request = _request(HALF, x=np.array([1.0, 2.0, 5.0], np.float32))
    response = predictions.Predict(request, timeout=30)
    assert list(response.outputs["y"].float_val) == [3.5, 4.0, 5.5]
    assert response.outputs["y"].tensor_content == b""
    assert response.model_spec.name == HALF
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.requirement("row-5")
def test_choice_of_version(predictions: Any) -> None:
    """
    A request may name a version or a label.
    """
    request = _request(HALF, x=np.array([1.0], np.float32))
    request.model_spec.version.value = 1
    assert predictions.Predict(request, timeout=30).outputs["y"].float_val[0] == 2.5
    request.model_spec.version_label = "stable"
    response = predictions.Predict(request, timeout=30)
    assert (response.outputs["y"].float_val[0], response.model_spec.version.value) == (2.5, 1)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, np.nan], [np.inf, -1.0]], np.float32),
        np.array([1.5, 1e300]),
        np.array([-128, 127], np.int8),
        np.array([-32768, 32767], np.int16),
        np.array([-(2**31), 2**31 - 1], np.int32),
        np.array([-(2**63), 2**63 - 1], np.int64),
        np.array([0, 255], np.uint8),
        np.array([0, 65535], np.uint16),
        np.array([0, 2**32 - 1], np.uint32),
        np.array([0, 2**64 - 1], np.uint64),
        np.array([True, False]),
        np.array([1.5, 65504.0], np.float16),
        np.array([1.5, 3e38], ml_dtypes.bfloat16),
        np.array([1 + 2j], np.complex64),
        np.array([1 + 2j], np.complex128),
        np.array(7.0, np.float32),
        np.zeros((0, 3), np.float32),
        np.array([b"a", b"\xff\x00", b""], object),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_types(predictions: Any, array: Any) -> None:
    """
    Every type of element comes back as it was sent, in the field of its type.
    """
    signature = "string" if array.dtype == object else array.dtype.name
    response = predictions.Predict(_request("kinds", signature, x=array), timeout=30)
    returned = response.outputs["y"]
    assert returned.tensor_content == b""
    result = tf.make_ndarray(returned)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)


def test_missing_values_repeat_the_last(predictions: Any) -> None:
    """
    Fewer values than elements: the last one fills up, and none at all means zeros.
    """
    request = _request(HALF)
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 3
    assert list(predictions.Predict(request, timeout=30).outputs["y"].float_val) == [3.0] * 3
    request.inputs["x"].float_val.extend([2.0, 4.0])
    answered = predictions.Predict(request, timeout=30).outputs["y"].float_val
    assert list(answered) == [4.0, 5.0, 5.0]


def test_output_filter(predictions: Any) -> None:
    """
    Only the outputs that are asked for come back.
    """
    request = _request("sums", a=np.ones((1, 2), np.float32), b=np.ones(1, np.float32))
    assert sorted(predictions.Predict(request, timeout=30).outputs) == ["doubled", "sum"]
    request.output_filter.append("sum")
    assert sorted(predictions.Predict(request, timeout=30).outputs) == ["sum"]


def test_defaults(predictions: Any) -> None:
    """
    An input with a default may be left out.
    """
    request = _request("sums", "scaled", x=np.array([2.0], np.float32))
    assert predictions.Predict(request, timeout=30).outputs["y"].float_val[0] == 6.0
    request = _request("sums", "scaled", x=np.array([2.0], np.float32), by=np.float32(5.0))
    assert predictions.Predict(request, timeout=30).outputs["y"].float_val[0] == 10.0


def test_large_message(predictions: Any) -> None:
    """
    A message above gRPC's usual limit is taken.
    """
    array = np.arange(2_000_000, dtype=np.float32)
    request = _request("sums", "scaled", x=array)
    request.output_filter.append("y")
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(request, timeout=30)
    # The client's own limit on answers is what stops it, not the server.
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "received" in caught.value.details().lower()


def _spec(**fields: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.SetInParent()
    for name, value in fields.items():
        if name == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, name, value)
    return request


def _bad_tensor() -> Any:
    request = _request(HALF)
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 2
    request.inputs["x"].float_val.extend([1.0, 2.0, 3.0])
    return request


def _huge_tensor() -> Any:
    request = _request(HALF)
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 1 << 40
    return request


def _filtered(*aliases: str) -> Any:
    request = _request(HALF, x=np.ones(1, np.float32))
    request.output_filter.extend(aliases)
    return request


INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec"),
        (_spec(), INVALID, "ModelSpec has no name specified."),
        (_spec(name="m"), NOT_FOUND, "Servable not found for request: Latest(m)"),
        (_spec(name="m", version=5), NOT_FOUND, "Servable not found for request: Specific(m, 5)"),
        (_spec(name=HALF, version_label="L"), INVALID, "Unrecognized servable version label: L"),
        (
            _request(HALF, "X"),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "X" not found.',
        ),
        (
            _request(HALF),
            INVALID,
            (
                "input size does not match signature: 0!=1 len({}) != len({x}). "
                "Sent extra: {}. Missing but required: {x}."
            ),
        ),
        (
            _request(HALF, z=1.0),
            INVALID,
            (
                "Signature input alias: x(feed name: serving_default_x:0) not found in request "
                "and no default value provided. Inputs expected to be in the request {x}, or "
                "default input alias set: "
            ),
        ),
        (
            _request("sums", "scaled", x=np.float32(1), z=np.float32(1)),
            INVALID,
            "Inputs contains invalid name. Used request inputs: {by,x}, request input: z",
        ),
        (_bad_tensor(), INVALID, "tensor parsing error: x"),
        (_huge_tensor(), INVALID, "tensor parsing error: x"),
        (
            _filtered("zz"),
            INVALID,
            "output tensor alias not found in signature: zz Outputs expected to be in the set {y}.",
        ),
        (_filtered("y", "y"), INVALID, "duplicate output tensor alias: y"),
        (
            _request(HALF, x="text"),
            INVALID,
            "Expects arg[0] to be float but string is provided",
        ),
    ],
)
def test_predict_errors(
    predictions: Any, request_: Any, code: grpc.StatusCode, message: str
) -> None:
    """
    Each kind of bad request gets TensorFlow Serving's code and sentence.
    """
    assert _failure(predictions.Predict, request_) == (code, message)


def test_long_messages_are_cut(predictions: Any) -> None:
    """
    A message that would burst the headers is cut after 1024 characters.
    """
    code, message = _failure(predictions.Predict, _spec(name="m" * 3000))
    assert code == NOT_FOUND
    assert len(message) == 1024 + len("...TRUNCATED")
    assert message.endswith("...TRUNCATED")


def _metadata(**fields: Any) -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    if "name" in fields:
        request.model_spec.name = fields["name"]
    request.metadata_field.extend(fields.get("fields", ()))
    return request


@pytest.mark.requirement("row-1")
def test_metadata(predictions: Any) -> None:
    """
    The stock client unpacks the signatures.
    """
    response = predictions.GetModelMetadata(
        _metadata(name=HALF, fields=["signature_def"]), timeout=30
    )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["x"].dtype == 1
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == ""


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (_metadata(), INVALID, "Missing ModelSpec"),
        (
            _metadata(name=HALF),
            INVALID,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (_metadata(name=HALF, fields=["X"]), INVALID, "Metadata field X is not supported"),
        (
            _metadata(name="m", fields=["signature_def"]),
            NOT_FOUND,
            "Servable not found for request: Latest(m)",
        ),
    ],
)
def test_metadata_errors(
    predictions: Any, request_: Any, code: grpc.StatusCode, message: str
) -> None:
    """
    Each kind of bad request for metadata gets its code and sentence.
    """
    assert _failure(predictions.GetModelMetadata, request_) == (code, message)


def _status(name: str | None = None, version: int | None = None) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    if name is not None:
        request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    return request


@pytest.mark.requirement("row-1")
def test_status(model_service: Any) -> None:
    """
    The stock client reads states and errors.
    """
    response = model_service.GetModelStatus(_status(HALF), timeout=30)
    versions = [(status.version, status.state) for status in response.model_version_status]
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert versions == [(2, available), (1, available)]
    (broken,) = model_service.GetModelStatus(_status("broken", 1), timeout=30).model_version_status
    assert broken.state == get_model_status_pb2.ModelVersionStatus.END
    assert "saved_model.pb" in broken.status.error_message


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (_status(), INVALID, "Missing ModelSpec"),
        (_status("m"), NOT_FOUND, "Could not find any versions of model m"),
        (_status(""), NOT_FOUND, "Could not find any versions of model "),
        (_status(HALF, 9), NOT_FOUND, f"Could not find version 9 of model {HALF}"),
    ],
)
def test_status_errors(
    model_service: Any, request_: Any, code: grpc.StatusCode, message: str
) -> None:
    """
    Each kind of bad request for a status gets its code and sentence.
    """
    assert _failure(model_service.GetModelStatus, request_) == (code, message)


def test_methods_that_are_not_offered(channel: grpc.Channel) -> None:
    """
    A known method that this server does not offer says so in a sentence.
    """
    unimplemented = grpc.StatusCode.UNIMPLEMENTED
    session_run = channel.unary_unary(
        "/tensorflow.serving.SessionService/SessionRun",
        session_service_pb2.SessionRunRequest.SerializeToString,
        session_service_pb2.SessionRunResponse.FromString,
    )
    assert _failure(session_run, session_service_pb2.SessionRunRequest()) == (
        unimplemented,
        "This server does not offer SessionRun; --enable_session_run turns it on.",
    )
