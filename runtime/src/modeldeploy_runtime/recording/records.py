"""
Makes records of answered inferences: PredictionLogs, as TensorFlow Serving defines them.

Tensors of numbers are written as ``tensor_content``, which costs a copy where the typed fields cost
a loop; every reader of TensorProtos knows both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeldeploy_runtime.inference.answered import results
from modeldeploy_runtime.inference.answered.exchanges import (
    Classified,
    Exchange,
    MultiInferred,
    Predicted,
    Regressed,
)
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.tensors import dtypes, proto
from modeldeploy_runtime.tensors.dtypes import Array


@dataclass(frozen=True, slots=True)
class About:
    """
    What a record says beside request and response.

    ``seconds`` is the time of the answer since 1970; ``rate`` the share of requests that are
    logged, 0 to 1.
    """

    model: str
    version: str
    signature: str
    seconds: int
    rate: float
    tags: tuple[str, ...]


def serialize(about: About, exchange: Exchange) -> bytes:
    """Make the bytes of a PredictionLog."""
    log = messages.PredictionLog()
    metadata = log.log_metadata
    _fill_spec(metadata.model_spec, about, resolved=True)
    metadata.sampling_config.sampling_rate = about.rate
    metadata.saved_model_tags.extend(about.tags)
    metadata.timestamp_secs = about.seconds
    _FILL[type(exchange)](log, about, exchange)
    serialized: bytes = log.SerializeToString()
    return serialized


def size(exchange: Exchange) -> int:
    """Estimate the bytes of a record without making it."""
    if isinstance(exchange, Predicted):
        arrays = (*exchange.inputs.values(), *exchange.outputs.values())
        return sum(map(_size_of_array, arrays))
    held: int = exchange.given.ByteSize()
    return 2 * held


def _size_of_array(array: Array) -> int:
    if array.dtype == np.dtype(object):
        return sum(map(len, array.reshape(-1).tolist()))
    return int(array.nbytes)


def _fill_spec(spec: Any, about: About, *, resolved: bool) -> None:
    spec.name = about.model
    spec.signature_name = about.signature
    if not resolved:
        return
    if about.version.isdecimal():
        spec.version.value = int(about.version)
    else:
        spec.version_label = about.version


def _predicted(log: Any, about: About, exchange: Predicted) -> None:
    request, response = log.predict_log.request, log.predict_log.response
    _fill_spec(request.model_spec, about, resolved=False)
    _fill_spec(response.model_spec, about, resolved=True)
    request.output_filter.extend(exchange.output_filter)
    _fill_tensors(request.inputs, exchange.inputs)
    _fill_tensors(response.outputs, exchange.outputs)


def _classified(log: Any, about: About, exchange: Classified) -> None:
    request, response = log.classify_log.request, log.classify_log.response
    _fill_spec(request.model_spec, about, resolved=False)
    _fill_spec(response.model_spec, about, resolved=True)
    request.input.CopyFrom(exchange.given)
    results.fill_classification(response.result, exchange.found)


def _regressed(log: Any, about: About, exchange: Regressed) -> None:
    request, response = log.regress_log.request, log.regress_log.response
    _fill_spec(request.model_spec, about, resolved=False)
    _fill_spec(response.model_spec, about, resolved=True)
    request.input.CopyFrom(exchange.given)
    results.fill_regression(response.result, exchange.found)


def _multi_inferred(log: Any, about: About, exchange: MultiInferred) -> None:
    request, response = log.multi_inference_log.request, log.multi_inference_log.response
    request.input.CopyFrom(exchange.given)
    for task, found in zip(exchange.tasks, exchange.found, strict=True):
        asked = request.tasks.add(method_name=task.method)
        asked.model_spec.name, asked.model_spec.signature_name = about.model, task.signature
        answered = response.results.add()
        _fill_spec(answered.model_spec, about, resolved=True)
        results.fill_task(answered, task, found)


_FILL: Mapping[type, Callable[[Any, About, Any], None]] = {
    Predicted: _predicted,
    Classified: _classified,
    Regressed: _regressed,
    MultiInferred: _multi_inferred,
}


def _fill_tensors(target: Any, arrays: Mapping[str, Array]) -> None:
    for alias, array in arrays.items():
        dtype = dtypes.of_array(array)
        if dtype is None or dtype is dtypes.STRING or not array.size:
            proto.encode(array, target[alias])
            continue
        tensor = target[alias]
        tensor.dtype = dtype.number
        tensor.tensor_shape.SetInParent()
        for length in array.shape:
            tensor.tensor_shape.dim.add().size = length
        tensor.tensor_content = np.ascontiguousarray(array).tobytes()
