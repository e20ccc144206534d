"""
Replays recorded requests before a version takes traffic, as a model's first calls are slow.

The records lie in ``assets.extra/tf_serving_warmup_requests`` inside the version's folder.  Any
failure fails the load, as it would fail the first client otherwise.
"""

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.loaders.port import Model
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import proto

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
DEFAULT_SIGNATURE = "serving_default"


def replay(model: Model, folder: Path, iterations: int = 1) -> int:
    """Run every record against a model and return their number; no file means none."""
    path = folder / FILE
    if not path.exists():
        return 0
    count = 0
    try:
        with path.open("rb") as file:
            for payload in tfrecord.read(file):
                if count == MAX_RECORDS:
                    raise errors.LoadError(
                        f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}",
                        errors.Code.INVALID_ARGUMENT,
                        permanent=True,
                    )
                _run(model, _parse(payload), iterations)
                count += 1
    except tfrecord.CorruptRecordError as error:
        raise errors.LoadError(
            f"{error} Please verify your warmup data is in TFRecord format.",
            errors.Code.DATA_LOSS,
            permanent=True,
        ) from error
    return count


def _parse(payload: bytes) -> Any:
    log = messages.PredictionLog()
    try:
        log.ParseFromString(payload)
    except DecodeError as error:
        raise errors.LoadError(
            f"Failed to parse warmup record: {error}",
            errors.Code.INVALID_ARGUMENT,
            permanent=True,
        ) from error
    if log.WhichOneof("log_type") != "predict_log":
        raise errors.LoadError(
            "Unsupported log_type for warmup: only predict_log can be replayed.",
            errors.Code.UNIMPLEMENTED,
            permanent=True,
        )
    return log.predict_log.request


def _run(model: Model, request: Any, iterations: int) -> None:
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = model.signatures.get(name)
    if signature is None:
        raise errors.LoadError(
            f'A warmup record calls the signature "{name}", which the model does not have.',
            errors.Code.FAILED_PRECONDITION,
            permanent=True,
        )
    inputs = dict(signature.defaults)
    inputs.update({alias: proto.decode(alias, value) for alias, value in request.inputs.items()})
    for _ in range(max(1, iterations)):
        signature.run(inputs, request.output_filter or signature.outputs)
