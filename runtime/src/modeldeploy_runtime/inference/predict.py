"""Predict: named tensors in, named tensors out."""

from collections.abc import Iterable, Mapping, Sequence

from modeldeploy_runtime.inference import execution
from modeldeploy_runtime.inference.execution import Question
from modeldeploy_runtime.inference.lookup import DEFAULT_SIGNATURE
from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors.dtypes import Array

METHODS = tuple(f"tensorflow/serving/{verb}" for verb in ("predict", "classify", "regress"))


def find_signature(model: Model, name: str) -> Signature:
    """
    Find a signature by name; no name means the default one.

    Raises:
        PreconditionError: The model has no such signature.
    """
    key = name or DEFAULT_SIGNATURE
    signature = model.signatures.get(key)
    if signature is None:
        raise errors.PreconditionError(f'Serving signature key "{key}" not found.')
    return signature


def check_method_name(signature: Signature) -> None:
    """
    Make sure that a signature was exported for serving.

    Raises:
        InternalError: Its method is not one of TensorFlow Serving's.
    """
    method = signature.definition.method_name
    if method not in METHODS:
        raise errors.InternalError(
            "Expected prediction signature method_name to be one of "
            f"{{{', '.join(METHODS)}}}. Was: {method}"
        )


def ask(
    signature: Signature, inputs: Mapping[str, Array], output_filter: Sequence[str]
) -> Question:
    """
    Ask for a signature's outputs, or for those that a filter names.

    Raises:
        InvalidArgumentError: The inputs or the outputs asked for do not fit the signature.
    """
    if inputs.keys() != signature.inputs.keys():
        _check_inputs(signature, inputs)
        inputs = {**signature.defaults, **inputs}
    if output_filter:
        _check_outputs(signature, output_filter)
    return Question(signature, inputs, output_filter or signature.outputs)


def answer(question: Question, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Give what was asked for, and no more."""
    return {alias: outputs[alias] for alias in question.outputs}


def run(
    signature: Signature,
    inputs: Mapping[str, Array],
    output_filter: Sequence[str],
    deadline: float | None,
) -> dict[str, Array]:
    """
    Compute a signature's outputs, or those that a filter names.

    The deadline is a time of ``time.monotonic`` in seconds.

    Raises:
        ServingError: The inputs do not fit the signature, or the model fails on them.
    """
    question = ask(signature, inputs, output_filter)
    return answer(question, execution.run_signature(question, deadline))


def _check_inputs(signature: Signature, inputs: Mapping[str, Array]) -> None:
    needed = signature.inputs.keys()
    extra = inputs.keys() - needed
    missing = needed - inputs.keys() - signature.defaults.keys()
    if len(inputs) > len(needed) or (len(inputs) < len(needed) and not signature.defaults):
        raise errors.InvalidArgumentError(
            f"input size does not match signature: {len(inputs)}!={len(needed)} "
            f"len({_braced(inputs)}) != len({_braced(needed)}). "
            f"Sent extra: {_braced(extra)}. Missing but required: {_braced(missing)}."
        )
    for alias in sorted(missing):
        name = signature.inputs[alias].tensor_name
        raise errors.InvalidArgumentError(
            f"Signature input alias: {alias}(feed name: {name}) not found in request and no "
            f"default value provided. Inputs expected to be in the request {_braced(needed)}, "
            f"or default input alias set: {','.join(sorted(signature.defaults))}"
        )
    for alias in sorted(extra):
        raise errors.InvalidArgumentError(
            f"Inputs contains invalid name. Used request inputs: {_braced(needed)}, "
            f"request input: {alias}"
        )


def _check_outputs(signature: Signature, output_filter: Sequence[str]) -> None:
    seen: set[str] = set()
    for alias in output_filter:
        if alias not in signature.outputs:
            raise errors.InvalidArgumentError(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in "
                f"the set {_braced(signature.outputs)}."
            )
        if alias in seen:
            raise errors.InvalidArgumentError(f"duplicate output tensor alias: {alias}")
        seen.add(alias)


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
