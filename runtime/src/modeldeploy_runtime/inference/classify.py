"""Classify: examples in, labels and scores out, by the conventions of TensorFlow's exporters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.inference import execution, lookup
from modeldeploy_runtime.inference.execution import Question
from modeldeploy_runtime.loaders.port import Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes, examples
from modeldeploy_runtime.tensors.dtypes import Array

METHOD = "tensorflow/serving/classify"
INPUTS, CLASSES, SCORES = "inputs", "classes", "scores"


@dataclass(frozen=True, slots=True)
class Classifications:
    """
    The classes of each example, shape (examples, classes); a model may give either or both.

    ``labels`` are strings (bytes), ``scores`` float32.
    """

    labels: Array | None
    scores: Array | None


def check(signature: Signature, *, check_method_name: bool) -> None:
    """
    Make sure that a signature can classify.

    Raises:
        InvalidArgumentError: Its inputs or outputs are not those of a classification.
    """
    if check_method_name and signature.definition.method_name != METHOD:
        raise errors.InvalidArgumentError(
            f"Expected classification signature method_name to be {METHOD}. "
            f"Was: {signature.definition.method_name}"
        )
    if len(signature.inputs) != 1:
        raise errors.InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) not in {1, 2}:
        raise errors.InvalidArgumentError(
            f"Expected one or two output Tensors, found {len(signature.outputs)}"
        )
    if INPUTS not in signature.inputs:
        raise errors.InvalidArgumentError(
            f"No classification inputs found in SignatureDef: {lookup.show(signature)}"
        )
    if not wanted(signature):
        raise errors.InvalidArgumentError(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {lookup.show(signature)}'
        )


def wanted(signature: Signature) -> tuple[str, ...]:
    """Name the outputs that a classification reads."""
    return tuple(alias for alias in (CLASSES, SCORES) if alias in signature.outputs)


def ask(signature: Signature, given: Any) -> Question:
    """
    Ask a signature that has been checked to classify the examples of an ``Input`` message.

    Raises:
        ServingError: There is no example.
    """
    return Question(signature, {INPUTS: examples.to_array(given)}, wanted(signature))


def answer(question: Question, outputs: Mapping[str, Array]) -> Classifications:
    """
    Understand the outputs of a model.

    Raises:
        InvalidArgumentError: Their shapes or types are not those of a classification.
    """
    chosen = {alias: outputs[alias] for alias in question.outputs}
    return read(chosen, len(question.inputs[INPUTS]))


def run(signature: Signature, given: Any, deadline: float | None) -> Classifications:
    """
    Classify the examples of an ``Input`` message with a signature that has been checked.

    The deadline is a time of ``time.monotonic`` in seconds.

    Raises:
        ServingError: The inputs do not fit the signature, or the model fails on them.
    """
    question = ask(signature, given)
    return answer(question, execution.run_signature(question, deadline))


def read(outputs: Mapping[str, Array], count: int) -> Classifications:
    """
    Understand the outputs of a model for a number of examples.

    Raises:
        InvalidArgumentError: Their shapes or types are not those of a classification.
    """
    labels, scores = outputs.get(CLASSES), outputs.get(SCORES)
    if labels is not None:
        _check_output(CLASSES, labels, "string", count)
    if scores is not None:
        _check_output(SCORES, scores, "float", count)
    if labels is not None and scores is not None and labels.shape[1] != scores.shape[1]:
        raise errors.InvalidArgumentError(
            "Tensors class and score should match in dim_size(1). Got "
            f"{labels.shape[1]} vs. {scores.shape[1]}"
        )
    return Classifications(labels, scores)


def _check_output(alias: str, array: Array, expected: str, count: int) -> None:
    if array.ndim != 2:
        raise errors.InvalidArgumentError(
            "Expected Tensor shape: [batch_size num_classes] but got "
            f"{dtypes.show_shape(array.shape)}"
        )
    if dtypes.of_array(array) is not dtypes.BY_NAME[expected]:
        raise errors.InvalidArgumentError(
            f"Expected {alias} Tensor of DT_{expected.upper()}. Got: {dtypes.enum_name(array)}"
        )
    if array.shape[0] != count:
        raise errors.InvalidArgumentError(
            f"Expected {alias} output batch size of {count}. Got: {array.shape[0]}"
        )
