"""A client of TensorFlow Serving in Python: one call of each kind, and a line for each answer."""

import sys
from typing import Any

import grpc
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    input_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

HALF, HEADS = "half_plus_two", "heads"


def _predict(stub: Any) -> str:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = HALF
    request.model_spec.version.value = 1
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0, 5.0]))
    answer = stub.Predict(request, timeout=30)
    by, y = answer.model_spec, answer.outputs["y"]
    numbers = " ".join(f"{value:.1f}" for value in y.float_val)
    size = y.tensor_shape.dim[0].size
    return f"{numbers} shape {size} by {by.name} {by.version.value} {by.signature_name}"


def _metadata(stub: Any) -> str:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = HALF
    answer = stub.GetModelMetadata(request, timeout=30)
    found = get_model_metadata_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(found)
    told = found.signature_def["serving_default"]
    x, y = (types_pb2.DataType.Name(t.dtype) for t in (told.inputs["x"], told.outputs["y"]))
    return f"x {x} y {y} {told.method_name}"


def _status(stub: Any) -> str:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = HALF
    answer = stub.GetModelStatus(request, timeout=30)
    state = get_model_status_pb2.ModelVersionStatus.State
    found = [
        f"{told.version} {state.Name(told.state)} {told.status.error_code}"
        for told in answer.model_version_status
    ]
    return ", ".join(sorted(found))


def _input() -> Any:
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(3.0)
    example.features.feature["word"].bytes_list.value.append(b"a")
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example]))


def _classify(stub: Any) -> str:
    request = classification_pb2.ClassificationRequest(input=_input())
    request.model_spec.name = HEADS
    request.model_spec.signature_name = "serving_default"
    (found,) = stub.Classify(request, timeout=30).result.classifications
    return ", ".join(f"{told.label} {told.score:.1f}" for told in found.classes)


def _regress(stub: Any) -> str:
    request = regression_pb2.RegressionRequest(input=_input())
    request.model_spec.name = HEADS
    request.model_spec.signature_name = "regress"
    (found,) = stub.Regress(request, timeout=30).result.regressions
    return f"{found.value:.1f}"


def _error(stub: Any) -> str:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "nothing"
    try:
        stub.Predict(request, timeout=30)
    except grpc.RpcError as error:
        return f"{error.code().value[0]} {error.details()}"
    return "none"


def main() -> None:
    """Ask the server that the command line names."""
    with grpc.insecure_channel(sys.argv[1]) as channel:
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        print(f"predict: {_predict(predictions)}")
        print(f"metadata: {_metadata(predictions)}")
        print(f"status: {_status(models)}")
        print(f"classify: {_classify(predictions)}")
        print(f"regress: {_regress(predictions)}")
        print(f"error: {_error(predictions)}")


if __name__ == "__main__":
    main()
