"""
Which version answers over gRPC, and how a client learns it: pins by metadata.
"""

from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

HALF = "half_plus_two"
VERSION, LABEL = "x-model-version", "x-model-label"


def _request(**choice: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = HALF
    if "version" in choice:
        request.model_spec.version.value = choice["version"]
    if "label" in choice:
        request.model_spec.version_label = choice["label"]
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([1.0], np.float32)))
    return request


@pytest.mark.requirement("row-5")
@pytest.mark.parametrize(
    ("choice", "metadata", "version"),
    [
        ({}, [], 2),
        ({}, [(VERSION, "1")], 1),
        ({}, [(LABEL, "stable")], 1),
        ({"version": 1}, [(VERSION, "1")], 1),
        ({"label": "stable"}, [(LABEL, "stable")], 1),
        ({"label": "of a router"}, [("x-modeldeploy-pin", "1 of a router")], 1),
    ],
)
def test_pins(predictions: Any, choice: Any, metadata: Any, version: int) -> None:
    """
    Metadata chooses a version where the message does not, and the answer's metadata names it.
    """
    response, call = predictions.Predict.with_call(_request(**choice), metadata=metadata)
    assert response.model_spec.version.value == version
    assert response.outputs["y"].float_val[0] == version + 1.5
    assert dict(call.trailing_metadata())[VERSION] == str(version)


@pytest.mark.parametrize(
    ("choice", "metadata", "code", "message"),
    [
        (
            {"version": 2},
            [(VERSION, "1")],
            grpc.StatusCode.INVALID_ARGUMENT,
            "The request asks for version 2 and for version 1; it may ask for one only.",
        ),
        (
            {},
            [(VERSION, "9223372036854775808")],
            grpc.StatusCode.INVALID_ARGUMENT,
            'x-model-version must be the number or name of a version, not "9223372036854775808".',
        ),
        (
            {},
            [(VERSION, "one")],
            grpc.StatusCode.NOT_FOUND,
            f"Servable not found for request: Specific({HALF}, one)",
        ),
        (
            {},
            [(VERSION, "9")],
            grpc.StatusCode.NOT_FOUND,
            f"Servable not found for request: Specific({HALF}, 9)",
        ),
        (
            {},
            [(LABEL, "L")],
            grpc.StatusCode.INVALID_ARGUMENT,
            "Unrecognized servable version label: L",
        ),
    ],
)
def test_bad_pins(
    predictions: Any, choice: Any, metadata: Any, code: grpc.StatusCode, message: str
) -> None:
    """
    A pin is never answered by another version.
    """
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(_request(**choice), metadata=metadata, timeout=30)
    assert (caught.value.code(), caught.value.details()) == (code, message)


def test_errors_name_the_version(predictions: Any) -> None:
    """
    Who gets an error of a version is told which one, too.
    """
    request = _request()
    request.output_filter.append("none")
    with pytest.raises(grpc.RpcError) as caught:
        predictions.Predict(request, timeout=30)
    assert dict(caught.value.trailing_metadata())[VERSION] == "2"


def test_pinned_metadata_and_status(predictions: Any, model_service: Any) -> None:
    """
    Signatures and states are those of the pinned version; a label narrows no states.
    """
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = HALF
    response = predictions.GetModelMetadata(request, metadata=[(LABEL, "stable")], timeout=30)
    assert response.model_spec.version.value == 1
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = HALF
    for metadata, versions in (([(VERSION, "1")], [1]), ([(LABEL, "stable")], [2, 1])):
        found = model_service.GetModelStatus(status, metadata=metadata, timeout=30)
        assert [state.version for state in found.model_version_status] == versions
