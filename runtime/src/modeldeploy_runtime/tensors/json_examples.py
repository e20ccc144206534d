"""
The body of a classification or regression: ``{"examples": [...], "context": {...}}``.

An example is an object of features, each a value or a list of values of one kind.  Strings and
``{"b64": ...}`` are bytes, numbers with a point or an exponent are floats, and all other numbers,
true and false are integers: nothing is converted, as the wire knows no types that could tell how.
"""

from collections.abc import Callable, Mapping
from typing import Any

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import json_text, json_values

EXAMPLES, CONTEXT = "examples", "context"

_MIN_INT64, _MAX_INT64, _MAX_UINT64 = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


def to_input(value: Mapping[str, Any]) -> Any:
    """
    Make an ``Input`` message of a body.

    Raises:
        InvalidArgumentError: There are no examples, or one is not made of features.
    """
    made = messages.Input()
    target = made.example_list
    if CONTEXT in value:
        target = made.example_list_with_context
        target.context.SetInParent()
        _fill(target.context, value[CONTEXT])
    if EXAMPLES not in value:
        # The same words for a regression: that is how TensorFlow Serving says it.
        raise _refuse(
            value, f"When method is classify, key '{EXAMPLES}' is expected and was not found"
        )
    listed = value[EXAMPLES]
    if not isinstance(listed, list):
        raise _refuse(value, f"Expecting '{EXAMPLES}' value to be an list/array")
    if not listed:
        raise _refuse(value, f"'{EXAMPLES}' value is an empty array")
    for example in listed:
        _fill(target.examples.add(), example)
    return made


def _refuse(value: Mapping[str, Any], why: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(f"JSON Value: {json_text.show(value)} {why}")


def _fill(example: Any, value: Any) -> None:
    """Fill an empty ``Example`` with the features of a JSON object."""
    if not isinstance(value, dict):
        raise errors.InvalidArgumentError(
            f"Example must be JSON object but got JSON {json_text.type_name(value)}"
        )
    features = example.features.feature
    for name, content in value.items():
        try:
            feature = features[name]
        except UnicodeEncodeError as error:
            raise errors.InvalidArgumentError(
                f"Feature: {name} has a name that is not UTF-8."
            ) from error
        elements = content if isinstance(content, list) else [content]
        kinds = {_kind(name, element) for element in elements}
        if len(kinds) > 1:
            first = _kind(name, elements[0])
            raise errors.InvalidArgumentError(
                f"Unexpected element type in feature: {name} expecting type: {first}"
            )
        for kind in kinds:
            target = getattr(feature, f"{kind}_list").value
            target.extend(map(_CONVERSIONS[kind], elements))


def _kind(name: str, element: Any) -> str:
    """Tell which of the three lists of a feature takes an element."""
    if isinstance(element, str) or json_values.is_base64(element):
        return "bytes"
    if isinstance(element, float):
        return "float"
    if not isinstance(element, int):
        raise errors.InvalidArgumentError(
            f"Feature: {name} has element with unexpected JSON type: {json_text.type_name(element)}"
        )
    if _MAX_INT64 < element <= _MAX_UINT64:
        raise errors.InvalidArgumentError(
            f"Feature: {name} has uint64_t element. Only int64_t is supported."
        )
    # Beyond 64 bits a number without a point is a float, too.
    return "int64" if _MIN_INT64 <= element <= _MAX_INT64 else "float"


def _bytes(element: Any) -> bytes:
    if isinstance(element, str):
        return element.encode("utf-8", "surrogateescape")
    return json_values.decode_base64(element["b64"])


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "bytes": _bytes,
    "float": json_values.as_float,
    "int64": int,
}
