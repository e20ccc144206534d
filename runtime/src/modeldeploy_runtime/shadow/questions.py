"""
What is asked again: the message of an answered request, and both answers as tensors.

A classification or regression is compared as what its response holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modeldeploy_runtime.inference.answered import results
from modeldeploy_runtime.inference.answered.exchanges import (
    Classified,
    Exchange,
    Predicted,
    Regressed,
)
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.tensors import proto
from modeldeploy_runtime.tensors.dtypes import Array

_SERVICE = "/tensorflow.serving.PredictionService/"
Outputs = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Question:
    """
    A request to another server.

    Attributes:
        method: The path of the gRPC method.
        request: The message as bytes.
        expected: What this server has answered.
        read: Makes the same of the other server's response.
    """

    method: str
    request: bytes
    expected: Outputs
    read: Callable[[bytes], Outputs]


def of(exchange: Exchange, model: str, signature: str) -> Question | None:
    """Ask an answered request again; there is no question for several inferences at once."""
    match exchange:
        case Predicted():
            return _predicted(exchange, model, signature)
        case Classified():
            return _classified(exchange, model, signature)
        case Regressed():
            return _regressed(exchange, model, signature)
        case _:
            return None


def _predicted(exchange: Predicted, model: str, signature: str) -> Question:
    request = messages.PredictRequest(model_spec=_spec(model, signature))
    request.output_filter.extend(exchange.output_filter)
    for alias, array in exchange.inputs.items():
        proto.encode_content(array, request.inputs[alias])

    def read(data: bytes) -> Outputs:
        response = messages.PredictResponse.FromString(data)
        return {alias: proto.decode(alias, value) for alias, value in response.outputs.items()}

    return Question(f"{_SERVICE}Predict", request.SerializeToString(), exchange.outputs, read)


def _classified(exchange: Classified, model: str, signature: str) -> Question:
    request = messages.ClassificationRequest(
        model_spec=_spec(model, signature), input=exchange.given
    )
    given = messages.ClassificationResult()
    results.fill_classification(given, exchange.found)
    return Question(
        f"{_SERVICE}Classify",
        request.SerializeToString(),
        _classes(given),
        lambda data: _classes(messages.ClassificationResponse.FromString(data).result),
    )


def _regressed(exchange: Regressed, model: str, signature: str) -> Question:
    request = messages.RegressionRequest(model_spec=_spec(model, signature), input=exchange.given)

    def read(data: bytes) -> Outputs:
        found = messages.RegressionResponse.FromString(data).result.regressions
        return {"value": np.array([each.value for each in found], np.float32)}

    expected = {"value": exchange.found}
    return Question(f"{_SERVICE}Regress", request.SerializeToString(), expected, read)


def _classes(result: Any) -> Outputs:
    """Take the scores as a table, and the labels in the same order."""
    rows = [row.classes for row in result.classifications]
    width = max(map(len, rows), default=0)
    scores = np.full((len(rows), width), np.nan, np.float32)
    for index, row in enumerate(rows):
        scores[index, : len(row)] = [each.score for each in row]
    labels = np.array([each.label.encode() for row in rows for each in row], dtype=object)
    return {"scores": scores, "labels": labels}


def _spec(model: str, signature: str) -> Any:
    return messages.ModelSpec(name=model, signature_name=signature)
