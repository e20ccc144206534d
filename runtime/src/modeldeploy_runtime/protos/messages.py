"""
Message classes made from the committed descriptor set.

protobuf makes these classes while the program runs, so that no type checker can know their fields:
they are ``Any`` here and are handled in few places (``tensors``, ``loaders``, ``transports``).
"""

from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTOR_SET = "messages.pb"

POOL = descriptor_pool.DescriptorPool()


def _fill_pool() -> tuple[Any, ...]:
    files = descriptor_pb2.FileDescriptorSet()
    files.ParseFromString(resources.files(__package__).joinpath(DESCRIPTOR_SET).read_bytes())
    for file in files.file:
        POOL.Add(file)
    found = [POOL.FindFileByName(file.name) for file in files.file]
    return tuple(_classes(named for file in found for named in file.message_types_by_name.values()))


def _classes(descriptors: Iterable[Any]) -> Iterator[Any]:
    for descriptor in descriptors:
        yield message_factory.GetMessageClass(descriptor)
        yield from _classes(descriptor.nested_types)


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))


# All of them, for ever.  protobuf makes the class of an inner message when it is first looked at,
# and forgets it with its last message, in whichever thread that happens: that work is spared each
# request, and no collection of garbage meets a class that another thread just uses.
_KEPT = _fill_pool()

AnyMessage: Any = _class("google.protobuf.Any")
TensorProto: Any = _class("tensorflow.TensorProto")
TensorShapeProto: Any = _class("tensorflow.TensorShapeProto")
ConfigProto: Any = _class("tensorflow.ConfigProto")
SignatureDef: Any = _class("tensorflow.SignatureDef")
MetaGraphDef: Any = _class("tensorflow.MetaGraphDef")
RunOptions: Any = _class("tensorflow.RunOptions")

ModelSpec: Any = _class("tensorflow.serving.ModelSpec")
PredictRequest: Any = _class("tensorflow.serving.PredictRequest")
PredictResponse: Any = _class("tensorflow.serving.PredictResponse")
SignatureDefMap: Any = _class("tensorflow.serving.SignatureDefMap")
Input: Any = _class("tensorflow.serving.Input")
SerializedInput: Any = _class("tensorflow.serving.internal.SerializedInput")
ClassificationRequest: Any = _class("tensorflow.serving.ClassificationRequest")
ClassificationResponse: Any = _class("tensorflow.serving.ClassificationResponse")
ClassificationResult: Any = _class("tensorflow.serving.ClassificationResult")
RegressionRequest: Any = _class("tensorflow.serving.RegressionRequest")
RegressionResponse: Any = _class("tensorflow.serving.RegressionResponse")
RegressionResult: Any = _class("tensorflow.serving.RegressionResult")
MultiInferenceRequest: Any = _class("tensorflow.serving.MultiInferenceRequest")
MultiInferenceResponse: Any = _class("tensorflow.serving.MultiInferenceResponse")
SessionRunRequest: Any = _class("tensorflow.serving.SessionRunRequest")
SessionRunResponse: Any = _class("tensorflow.serving.SessionRunResponse")
GetModelMetadataRequest: Any = _class("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse: Any = _class("tensorflow.serving.GetModelMetadataResponse")
GetModelStatusRequest: Any = _class("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse: Any = _class("tensorflow.serving.GetModelStatusResponse")
PredictionLog: Any = _class("tensorflow.serving.PredictionLog")
ModelServerConfig: Any = _class("tensorflow.serving.ModelServerConfig")
BatchingParameters: Any = _class("tensorflow.serving.BatchingParameters")
MonitoringConfig: Any = _class("tensorflow.serving.MonitoringConfig")
LoggingConfig: Any = _class("tensorflow.serving.LoggingConfig")
ReloadConfigRequest: Any = _class("tensorflow.serving.ReloadConfigRequest")
ReloadConfigResponse: Any = _class("tensorflow.serving.ReloadConfigResponse")
SSLConfig: Any = _class("tensorflow.serving.SSLConfig")

HealthCheckRequest: Any = _class("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse: Any = _class("grpc.health.v1.HealthCheckResponse")
HealthListResponse: Any = _class("grpc.health.v1.HealthListResponse")
REFLECTION: dict[str, tuple[Any, Any]] = {
    version: (
        _class(f"grpc.reflection.{version}.ServerReflectionRequest"),
        _class(f"grpc.reflection.{version}.ServerReflectionResponse"),
    )
    for version in ("v1", "v1alpha")
}
