"""Multi-inference: several classifications and regressions of one input in one run of the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.inference import classify, execution, lookup, regress
from modeldeploy_runtime.inference.classify import Classifications
from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import examples
from modeldeploy_runtime.tensors.dtypes import Array


@dataclass(frozen=True, slots=True)
class Task:
    """One head of the model: which signature, and how its outputs are to be read."""

    model: str
    signature: str
    method: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The tasks with their signatures, checked."""

    tasks: tuple[tuple[Task, Signature], ...]
    feed: str


def plan(model: Model, tasks: Sequence[Task], *, check_method_name: bool) -> Plan:
    """
    Find the signatures of all tasks.

    Raises:
        ServingError: A task is wrong in itself, or does not fit the model or the others.
    """
    found: dict[str, tuple[Task, Signature]] = {}
    feeds: set[str] = set()
    for task in tasks:
        _check_model(task, tasks[0])
        name = task.signature or lookup.DEFAULT_SIGNATURE
        if name in found:
            raise errors.InvalidArgumentError(f"Duplicate evaluation of signature: {name}")
        signature = model.signatures.get(name)
        if signature is None:
            raise errors.InvalidArgumentError(
                f"Requested signature not found in model graph: {name}"
            )
        feeds.add(_check_signature(task, signature, check_method_name=check_method_name))
        if len(feeds) > 1:
            raise errors.InvalidArgumentError("Input tensor must be the same for all Signatures.")
        found[name] = task, signature
    return Plan(tuple(found.values()), feeds.pop())


def _check_model(task: Task, first: Task) -> None:
    if not task.model:
        raise errors.InvalidArgumentError("Found ModelSpec with an empty model name.")
    if task.model != first.model:
        raise errors.InvalidArgumentError(
            "All ModelSpecs in a MultiInferenceRequest must access the same model name."
        )


def _check_signature(task: Task, signature: Signature, *, check_method_name: bool) -> str:
    """Return the name of the tensor that the examples go into."""
    if task.method == classify.METHOD:
        classify.check(signature, check_method_name=check_method_name)
        return signature.inputs[classify.INPUTS].tensor_name
    if task.method == regress.METHOD:
        regress.check(signature, check_method_name=check_method_name)
        return signature.inputs[regress.INPUTS].tensor_name
    raise errors.UnimplementedError(f"Unsupported signature method_name: {task.method}")


def run(
    model: Model, planned: Plan, given: Any, deadline: float | None
) -> list[Classifications | Array]:
    """
    Compute all tasks; a regression's result is a float32 array, shape (examples,).

    Raises:
        ServingError: There is no example, or the model fails or gives what a task cannot read.
    """
    array = examples.to_array(given)
    fetches = [
        signature.outputs[alias].tensor_name
        for task, signature in planned.tasks
        for alias in _wanted(task, signature)
    ]
    values = execution.run_graph(model, {planned.feed: array}, fetches, deadline)
    tensors = dict(zip(fetches, values, strict=True))
    results: list[Classifications | Array] = []
    for task, signature in planned.tasks:
        outputs = {
            alias: tensors[signature.outputs[alias].tensor_name]
            for alias in _wanted(task, signature)
        }
        if task.method == classify.METHOD:
            results.append(classify.read(outputs, len(array)))
        else:
            results.append(regress.read(outputs[regress.OUTPUTS], len(array)))
    return results


def _wanted(task: Task, signature: Signature) -> tuple[str, ...]:
    is_classification = task.method == classify.METHOD
    return classify.wanted(signature) if is_classification else (regress.OUTPUTS,)
