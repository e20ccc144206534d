"""Regress: examples in, one number for each of them out."""

from collections.abc import Mapping
from typing import Any

from modeldeploy_runtime.inference import execution, lookup
from modeldeploy_runtime.inference.execution import Question
from modeldeploy_runtime.loaders.port import Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes, examples
from modeldeploy_runtime.tensors.dtypes import Array

METHOD = "tensorflow/serving/regress"
INPUTS, OUTPUTS = "inputs", "outputs"


def check(signature: Signature, *, check_method_name: bool) -> None:
    """
    Make sure that a signature can do a regression.

    Raises:
        InvalidArgumentError: Its inputs or outputs are not those of a regression.
    """
    if check_method_name and signature.definition.method_name != METHOD:
        raise errors.InvalidArgumentError(
            f"Expected regression signature method_name to be {METHOD}. "
            f"Was: {signature.definition.method_name}"
        )
    if len(signature.inputs) != 1:
        raise errors.InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise errors.InvalidArgumentError("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise errors.InvalidArgumentError(
            f"No regression inputs found in SignatureDef: {lookup.show(signature)}"
        )
    if OUTPUTS not in signature.outputs:
        raise errors.InvalidArgumentError(
            f"No regression outputs found in SignatureDef: {lookup.show(signature)}"
        )


def ask(signature: Signature, given: Any) -> Question:
    """
    Ask a signature that has been checked for a number for each example of an ``Input`` message.

    Raises:
        ServingError: There is no example.
    """
    return Question(signature, {INPUTS: examples.to_array(given)}, (OUTPUTS,))


def answer(question: Question, outputs: Mapping[str, Array]) -> Array:
    """
    Understand the output of a model: float32, shape (examples,).

    Raises:
        InvalidArgumentError: Its shape or type is not that of a regression.
    """
    return read(outputs[OUTPUTS], len(question.inputs[INPUTS]))


def run(signature: Signature, given: Any, deadline: float | None) -> Array:
    """
    Compute a float32 for each example of an ``Input`` message, shape (examples,).

    The deadline is a time of ``time.monotonic`` in seconds.

    Raises:
        ServingError: The inputs do not fit the signature, or the model fails on them.
    """
    question = ask(signature, given)
    return answer(question, execution.run_signature(question, deadline))


def read(array: Array, count: int) -> Array:
    """
    Understand a model's output for a number of examples.

    Raises:
        InvalidArgumentError: Its shape or type is not that of a regression.
    """
    if array.ndim != 1 and not (array.ndim == 2 and array.shape[1] == 1):
        raise errors.InvalidArgumentError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{dtypes.show_shape(array.shape)}"
        )
    if array.shape[0] != count:
        raise errors.InvalidArgumentError(
            f"Input batch size did not match output batch size: {count} vs. {array.shape[0]}"
        )
    if dtypes.of_array(array) is not dtypes.BY_NAME["float"]:
        raise errors.InvalidArgumentError(
            f"Expected output Tensor of DT_FLOAT.  Got: {dtypes.enum_name(array)}"
        )
    return array.reshape(-1)
