"""Reads warm-up files: TFRecords of PredictionLogs, at most 1000 of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import Code, ServingError

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000


def read(path: Path) -> Iterator[Any]:
    """
    Yield the PredictionLogs of a file; the texts of the errors are TensorFlow Serving's.

    Raises:
        ServingError: The file is no such file, or holds too much.
    """
    with path.open("rb") as file:
        payloads = tfrecord.read(file)
        count = 0
        while (payload := _next(payloads)) is not None:
            if count == MAX_RECORDS:
                raise ServingError(
                    f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}",
                    Code.INVALID_ARGUMENT,
                )
            count += 1
            yield _parse(payload)


def _next(payloads: Iterator[bytes]) -> bytes | None:
    try:
        return next(payloads, None)
    except tfrecord.CorruptRecordError as error:
        raise ServingError(
            f"{error} Please verify your warmup data is in TFRecord format.", Code.DATA_LOSS
        ) from error


def _parse(payload: bytes) -> Any:
    log = messages.PredictionLog()
    try:
        log.ParseFromString(payload)
    except DecodeError as error:
        raise ServingError(
            f"Failed to parse warmup record: {error}", Code.INVALID_ARGUMENT
        ) from error
    return log
