"""Replays recorded requests against a model that nobody else calls yet."""

from collections.abc import Callable
from typing import Any

from modeldeploy_runtime.inference import classify, lookup, multi_inference, predict, regress
from modeldeploy_runtime.inference.multi_inference import Task
from modeldeploy_runtime.loaders.port import Model
from modeldeploy_runtime.servables.errors import UnimplementedError
from modeldeploy_runtime.tensors import proto


def run(model: Model, log: Any) -> None:
    """
    Run the request of a PredictionLog; the model and version that it names do not matter.

    Raises:
        ServingError: It is of a kind that cannot be replayed, or the model fails on it.
    """
    kind = log.WhichOneof("log_type")
    replay = _KINDS.get(kind)
    if replay is None:
        number = log.DESCRIPTOR.fields_by_name[kind].number if kind else 0
        raise UnimplementedError(f"Unsupported log_type for warmup: {number}")
    replay(model, getattr(log, kind).request)


def _predict(model: Model, request: Any) -> None:
    signature = predict.find_signature(model, request.model_spec.signature_name)
    inputs = {alias: proto.decode(alias, value) for alias, value in request.inputs.items()}
    predict.run(signature, inputs, request.output_filter, None)


def _classify(model: Model, request: Any) -> None:
    signature = lookup.find_signature(model, request.model_spec.signature_name)
    classify.check(signature, check_method_name=False)
    classify.run(signature, request.input, None)


def _regress(model: Model, request: Any) -> None:
    signature = lookup.find_signature(model, request.model_spec.signature_name)
    regress.check(signature, check_method_name=False)
    regress.run(signature, request.input, None)


def _multi_inference(model: Model, request: Any) -> None:
    tasks = [
        Task(task.model_spec.name, task.model_spec.signature_name, task.method_name)
        for task in request.tasks
    ]
    planned = multi_inference.plan(model, tasks, check_method_name=False)
    multi_inference.run(model, planned, request.input, None)


_KINDS: dict[str, Callable[[Model, Any], None]] = {
    "predict_log": _predict,
    "classify_log": _classify,
    "regress_log": _regress,
    "multi_inference_log": _multi_inference,
}
