"""
The committed descriptor set is what its sources give, and agrees with the stock client's messages.
"""

import importlib
from typing import Any

import pytest
from google.protobuf import descriptor_pool

from modeldeploy_runtime.protos import generate, messages

STOCK = (
    "tensorflow_serving.apis.get_model_metadata_pb2",
    "tensorflow_serving.apis.get_model_status_pb2",
    "tensorflow_serving.apis.model_management_pb2",
    "tensorflow_serving.apis.predict_pb2",
    "tensorflow_serving.apis.prediction_log_pb2",
    "tensorflow_serving.apis.session_service_pb2",
    "tensorflow_serving.config.model_server_config_pb2",
)
ROOTS = (
    "ClassificationRequest",
    "ClassificationResponse",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "ModelServerConfig",
    "MultiInferenceRequest",
    "MultiInferenceResponse",
    "PredictRequest",
    "PredictResponse",
    "PredictionLog",
    "RegressionRequest",
    "RegressionResponse",
    "ReloadConfigRequest",
    "ReloadConfigResponse",
    "SessionRunRequest",
    "SessionRunResponse",
    "SignatureDefMap",
)


def test_generated_file_is_fresh() -> None:
    """
    Whoever changes a .proto file also runs the generator.
    """
    assert generate.TARGET.read_bytes() == generate.compile_set()


def _shape(message: Any, seen: dict[str, dict[str, tuple[Any, ...]]]) -> None:
    """
    Collect number, type, label and JSON name of each field of a message and of what it holds.
    """
    if message.full_name in seen:
        return
    fields = seen[message.full_name] = {}
    for field in message.fields:
        held = field.message_type or field.enum_type
        name = held.full_name if held else ""
        fields[field.name] = (field.number, field.type, field.is_repeated, field.json_name, name)
        if field.message_type:
            _shape(field.message_type, seen)


@pytest.mark.parametrize("root", ROOTS)
def test_fields_agree(root: str) -> None:
    """
    Every field that we know has the number and type that it has in the stock client.
    """
    for module in STOCK:
        importlib.import_module(module)
    ours: dict[str, dict[str, tuple[Any, ...]]] = {}
    theirs: dict[str, dict[str, tuple[Any, ...]]] = {}
    name = f"tensorflow.serving.{root}"
    _shape(messages.POOL.FindMessageTypeByName(name), ours)
    _shape(descriptor_pool.Default().FindMessageTypeByName(name), theirs)
    for message, fields in ours.items():
        assert fields.items() <= theirs[message].items(), message
