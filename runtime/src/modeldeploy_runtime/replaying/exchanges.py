"""
What a record asks, over which method, and what was answered: as a request and as named arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.tensors import proto
from modeldeploy_runtime.tensors.dtypes import Array

Answer = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Method:
    """How one kind of request is sent, and its answer read."""

    name: str
    response: Any
    read: Callable[[Any], Answer]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that can be sent again, and what was answered to it."""

    method: Method
    request: Any
    answer: Answer


def take(log: Any, model: str) -> Recorded | None:
    """
    Read a record of a model; None where it is another's, or cannot be sent again.

    The version and the label that it names are left out: whoever is asked answers as itself.
    """
    kind = log.WhichOneof("log_type") if log is not None else None
    method = _METHODS.get(kind or "")
    if method is None:
        return None
    recorded = getattr(log, kind or "")
    request = type(recorded.request)()
    request.CopyFrom(recorded.request)
    for spec in _specs(request):
        if model and spec.name and spec.name != model:
            return None
        spec.name = model or spec.name
        spec.ClearField("version")
        spec.ClearField("version_label")
    try:
        return Recorded(method, request, method.read(recorded.response))
    except ServingError:
        return None


def _specs(request: Any) -> list[Any]:
    if isinstance(request, messages.MultiInferenceRequest):
        return [task.model_spec for task in request.tasks]
    return [request.model_spec]


def _predicted(response: Any) -> Answer:
    return {alias: proto.decode(alias, value) for alias, value in response.outputs.items()}


def _classified(response: Any) -> Answer:
    return _classes(response.result, "")


def _regressed(response: Any) -> Answer:
    return _values(response.result, "")


def _multi_inferred(response: Any) -> Answer:
    answer: Answer = {}
    for number, result in enumerate(response.results):
        prefix = f"{number}:"
        if result.HasField("classification_result"):
            answer |= _classes(result.classification_result, prefix)
        else:
            answer |= _values(result.regression_result, prefix)
    return answer


def _classes(result: Any, prefix: str) -> Answer:
    """Take the classes of each example; as a table where all examples have as many."""
    rows = [list(example.classes) for example in result.classifications]
    sizes = {len(row) for row in rows}
    shape = (len(rows), sizes.pop()) if len(sizes) == 1 else (-1,)
    scores = np.array([found.score for row in rows for found in row], np.float32)
    labels = np.array([found.label for row in rows for found in row], object)
    return {
        f"{prefix}classes": np.array([len(row) for row in rows], np.int64),
        f"{prefix}labels": labels.reshape(shape),
        f"{prefix}scores": scores.reshape(shape),
    }


def _values(result: Any, prefix: str) -> Answer:
    values = [regression.value for regression in result.regressions]
    return {f"{prefix}value": np.array(values, np.float32)}


_METHODS = {
    "predict_log": Method("Predict", messages.PredictResponse, _predicted),
    "classify_log": Method("Classify", messages.ClassificationResponse, _classified),
    "regress_log": Method("Regress", messages.RegressionResponse, _regressed),
    "multi_inference_log": Method(
        "MultiInference", messages.MultiInferenceResponse, _multi_inferred
    ),
}
