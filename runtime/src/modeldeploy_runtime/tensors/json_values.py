"""
One JSON value to one array.

numpy converts what is clearly right in one go.  Everything else is walked value by value, which
either succeeds as well or finds the words for what is wrong; so the walk alone defines the rules.
"""

import base64
import binascii
import math
from typing import Any

import numpy as np

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes, json_text
from modeldeploy_runtime.tensors.dtypes import Array, DType

# TensorFlow knows no tensor of a higher rank.
MAX_RANK = 254

_FLOATS = frozenset({"float", "double"})
_INTEGERS = frozenset({"int32", "int16", "int8", "uint8", "uint16", "int64", "uint32", "uint64"})


def is_base64(value: Any) -> bool:
    """Tell whether a value is bytes in disguise: ``{"b64": "…"}``."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def to_array(value: Any, dtype: DType, *, has_words: bool) -> Array:
    """
    Make an array of a value, whose first elements fix the shape.

    Raises:
        ServingError: The value is ragged, of the wrong type, or of a type that JSON cannot carry.
    """
    array = _fast(value, dtype) if not has_words else None
    return walk(value, dtype) if array is None else array


def _fast(value: Any, dtype: DType) -> Array | None:
    """Convert numbers at once, or return ``None`` where a closer look is needed."""
    if dtype.name not in _FLOATS and dtype.name not in _INTEGERS:
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind == "f" and (dtype.name in _FLOATS or not array.size):
        with np.errstate(over="ignore"):
            return array.astype(dtype.numpy)
    if array.dtype.kind not in "iu":
        return None
    if dtype.name in _INTEGERS and array.dtype != dtype.numpy:
        limits = np.iinfo(dtype.numpy)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            return None
    return array.astype(dtype.numpy)


def shape_of(value: Any) -> tuple[int, ...]:
    """Read the shape that a value's first elements give."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
        if len(shape) > MAX_RANK:
            raise errors.InvalidArgumentError(
                f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}"
            )
    return tuple(shape)


def walk(value: Any, dtype: DType) -> Array:
    """Convert value by value."""
    shape = shape_of(value)
    flat: list[Any] = []
    _fill(value, 0, shape, dtype, flat)
    array = np.empty(len(flat), dtype=dtype.numpy)
    with np.errstate(over="ignore"):
        array[:] = flat
    return array.reshape(shape)


def _fill(value: Any, level: int, shape: tuple[int, ...], dtype: DType, flat: list[Any]) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise errors.InvalidArgumentError(
                f"JSON Value: {json_text.show(value)} found at incorrect level: {level + 1} "
                f"in the JSON DOM. Expected at level: {rank}"
            )
        flat.append(_scalar(value, dtype))
        return
    if level >= rank:
        raise errors.InvalidArgumentError(
            f"Encountered list at unexpected level: {level} expected < {rank}"
        )
    if len(value) != shape[level]:
        raise errors.InvalidArgumentError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for item in value:
        _fill(item, level + 1, shape, dtype, flat)


def _scalar(value: Any, dtype: DType) -> Any:
    if dtype is dtypes.STRING:
        return _string(value)
    if dtype.name in _FLOATS:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        # An integer of any size is a number; beyond the type's range it is infinite.
        value = as_float(value) if fits else value
    elif dtype.name in _INTEGERS:
        limits = np.iinfo(dtype.numpy)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        fits = is_integer and limits.min <= value <= limits.max
    elif dtype.name == "bool":
        fits = isinstance(value, bool)
    else:
        raise errors.UnimplementedError(
            f"Conversion of JSON Value: {json_text.show(value)} to type: {dtype.name}"
        )
    if not fits:
        raise _wrong_type(value, dtype)
    return value


def as_float(value: float) -> float:
    """Make a float of any number; an integer beyond the floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _string(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if is_base64(value):
        return decode_base64(value["b64"])
    if isinstance(value, dict):
        raise errors.InvalidArgumentError(
            f"JSON Value: {json_text.show(value)} not formatted correctly for base64 data"
        )
    raise _wrong_type(value, dtypes.STRING)


def decode_base64(text: str) -> bytes:
    """Decode standard base64, whose padding may be left out."""
    stripped = text.rstrip("=")
    try:
        return base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InvalidArgumentError("Unable to base64 decode") from error


def _wrong_type(value: Any, dtype: DType) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(
        f"JSON Value: {json_text.show(value)} Type: {json_text.type_name(value)} "
        f"is not of expected type: {dtype.name}"
    )
