"""
The row form of a request: ``{"instances": [...]}``, one element for each row of the batch.

An element is the value of the only input, or an object with a value for each input.
"""

from collections.abc import Mapping
from typing import Any

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes, json_text, json_values
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec
from modeldeploy_runtime.tensors.json_text import Document

KEY = "instances"


def to_arrays(document: Document, specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """
    Make an array for each input, with the rows along its first dimension.

    Raises:
        InvalidArgumentError: The rows do not fit the inputs or one another.
    """
    instances = document.value[KEY]
    if not isinstance(instances, list):
        raise _refuse(document, "Expecting 'instances' to be an list/array")
    if not instances:
        raise _refuse(document, "No values in 'instances' array")
    if _is_object(instances[0]):
        return _from_objects(instances, specs, has_words=document.has_words)
    if len(specs) > 1:
        raise errors.InvalidArgumentError(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    return _from_values(instances, specs, has_words=document.has_words)


def _refuse(document: Document, why: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(f"JSON Value: {json_text.show(document.value)} {why}")


def _is_object(element: Any) -> bool:
    return isinstance(element, dict) and not json_values.is_base64(element)


def _from_values(
    instances: list[Any], specs: Mapping[str, TensorSpec], *, has_words: bool
) -> dict[str, Array]:
    ((alias, spec),) = specs.items()
    try:
        array = json_values.to_array(instances, spec.dtype, has_words=has_words)
    except errors.ServingError:
        _explain_values(instances, alias, specs)
        raise
    return {alias: array}


def _explain_values(instances: list[Any], alias: str, specs: Mapping[str, TensorSpec]) -> None:
    """Find the first row that is wrong, and say so in terms of that row."""
    shapes = _Shapes(specs)
    for number, element in enumerate(instances):
        if _is_object(element):
            raise errors.InvalidArgumentError(
                f"Expecting value/list but got object at item {number} of input list"
            )
        try:
            shapes.check(alias, element)
        except errors.ServingError as error:
            raise _in_element(f"{number}", error) from error


def _from_objects(
    instances: list[Any], specs: Mapping[str, TensorSpec], *, has_words: bool
) -> dict[str, Array]:
    try:
        if any(element.keys() != specs.keys() for element in instances):
            raise errors.InvalidArgumentError("The rows do not have the signature's inputs.")
        return {
            alias: json_values.to_array(
                [element[alias] for element in instances], spec.dtype, has_words=has_words
            )
            for alias, spec in specs.items()
        }
    except (errors.ServingError, AttributeError):
        _explain_objects(instances, specs)
        raise


def _explain_objects(instances: list[Any], specs: Mapping[str, TensorSpec]) -> None:
    shapes = _Shapes(specs)
    for number, element in enumerate(instances):
        if not _is_object(element):
            raise errors.InvalidArgumentError(
                f"Expecting object but got list at item {number} of input list"
            )
        for alias, value in element.items():
            try:
                shapes.check(alias, value)
            except errors.ServingError as error:
                raise _in_element(f"{number} key: {alias}", error) from error
        if element.keys() != specs.keys():
            raise errors.InvalidArgumentError(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{json_text.show(element)} keys must be equal to: {','.join(sorted(specs))}"
            )


class _Shapes:
    """Compares each row with the first one."""

    def __init__(self, specs: Mapping[str, TensorSpec]) -> None:
        self._specs = specs
        self._first: dict[str, Array] = {}

    def check(self, alias: str, value: Any) -> None:
        """Raise if one input of a row is wrong in itself or unlike the first row's."""
        spec = self._specs.get(alias)
        if spec is None:
            raise errors.InvalidArgumentError(f"JSON object: does not have named input: {alias}")
        array = json_values.walk(value, spec.dtype)
        first = self._first.setdefault(alias, array)
        if array.size != first.size:
            raise errors.InvalidArgumentError(
                f"Expecting tensor size: {first.size} but got: {array.size}"
            )
        if array.shape != first.shape:
            raise errors.InvalidArgumentError(
                f"Expecting shape {dtypes.show_shape(first.shape)} "
                f"but got: {dtypes.show_shape(array.shape)}"
            )


def _in_element(where: str, error: errors.ServingError) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(
        f"Failed to process element: {where} of 'instances' list. "
        f"Error: {error.code.name}: {error.message}"
    )
