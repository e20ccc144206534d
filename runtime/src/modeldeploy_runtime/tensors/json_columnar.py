"""
The columnar form of a request: ``{"inputs": ...}``, a whole tensor for each input.

It suits inputs that share no batch dimension; the only input may stand there without its name.
"""

from collections.abc import Mapping

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import json_values
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec
from modeldeploy_runtime.tensors.json_text import Document

KEY = "inputs"


def to_arrays(document: Document, specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """
    Make an array for each input.

    Raises:
        ServingError: The values do not fit the inputs.
    """
    inputs = document.value[KEY]
    if not isinstance(inputs, dict) or json_values.is_base64(inputs):
        if len(specs) > 1:
            raise errors.InvalidArgumentError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        inputs = dict.fromkeys(specs, inputs)
    for alias in specs:
        if alias not in inputs:
            raise errors.InvalidArgumentError(f"Missing named input: {alias} in 'inputs' object.")
    return {
        alias: json_values.to_array(inputs[alias], spec.dtype, has_words=document.has_words)
        for alias, spec in specs.items()
    }
