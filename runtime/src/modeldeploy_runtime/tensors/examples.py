"""
Examples for classification and regression: an ``Input`` message becomes one tensor of strings.

Each element is a serialised ``tf.Example``, which the model itself parses.
"""

from typing import Any

import numpy as np

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors.dtypes import Array


def count(given: Any) -> int:
    """Count the examples of an ``Input`` message."""
    if given.WhichOneof("kind") == "example_list_with_context":
        return len(given.example_list_with_context.examples)
    return len(given.example_list.examples)


def to_array(given: Any) -> Array:
    """
    Make an array of strings, shape (examples,), of an ``Input`` message.

    The bytes of the context stand before those of each example: protobuf lets what comes later win,
    so that an example's own feature replaces the context's.

    Raises:
        InvalidArgumentError: There is no example.
    """
    read = messages.SerializedInput.FromString(given.SerializeToString())
    if read.WhichOneof("kind") == "example_list_with_context":
        shared = read.example_list_with_context
        examples = [shared.context + example for example in shared.examples]
    else:
        examples = list(read.example_list.examples)
    if not examples:
        raise errors.InvalidArgumentError("Input is empty.")
    array = np.empty(len(examples), dtype=object)
    array[:] = examples
    return array
