"""
Arrays to JSON: rows under ``predictions``, whole tensors under ``outputs``.

NaN and the infinities are written as these words, which Python reads and strict JSON does not have.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes, json_numbers
from modeldeploy_runtime.tensors.dtypes import Array

_UNWRITABLE = frozenset({"half", "bfloat16", "complex64", "complex128"})
_BYTES_SUFFIX = "_bytes"


def rows(outputs: Mapping[str, Array]) -> bytes:
    """
    Write a response in row form.

    Raises:
        InvalidArgumentError: The outputs are not batches of one size, or cannot be written.
    """
    _check_batches(outputs)
    values = _writable(outputs)
    if len(values) == 1:
        return _dump({"predictions": next(iter(values.values()))})
    lists = {
        alias: value.tolist() if isinstance(value, np.ndarray) else value
        for alias, value in values.items()
    }
    count = len(next(iter(lists.values())))
    predictions = [{alias: value[row] for alias, value in lists.items()} for row in range(count)]
    return _dump({"predictions": predictions})


def columns(outputs: Mapping[str, Array]) -> bytes:
    """
    Write a response in columnar form.

    Raises:
        InvalidArgumentError: An output cannot be written.
    """
    values = _writable(outputs)
    if len(values) == 1:
        return _dump({"outputs": next(iter(values.values()))})
    return _dump({"outputs": values})


def classifications(labels: Array | None, scores: Array | None) -> bytes:
    """
    Write a label and a score for each class of each example; either array may be missing.

    Both have the shape (examples, classes), of strings and float32.
    """
    texts = None if labels is None else _map(_as_text, labels.tolist())
    numbers = None if scores is None else json_numbers.shorten(scores).tolist()
    if texts is None:
        results = [[("", score) for score in row] for row in numbers or ()]
    elif numbers is None:
        results = [[(text, 0.0) for text in row] for row in texts]
    else:
        results = [list(zip(*rows, strict=True)) for rows in zip(texts, numbers, strict=True)]
    return _dump({"results": results})


def regressions(values: Array) -> bytes:
    """Write one float32 for each example, shape (examples,)."""
    return _dump({"results": _value("", values)})


def _check_batches(outputs: Mapping[str, Array]) -> None:
    expected: int | None = None
    for alias, array in sorted(outputs.items()):
        if not array.ndim:
            raise errors.InvalidArgumentError(f"Tensor name: {alias} has no shape information ")
        expected = array.shape[0] if expected is None else expected
        if array.shape[0] != expected:
            raise errors.InvalidArgumentError(
                f"Tensor name: {alias} has inconsistent batch size: {array.shape[0]} "
                f"expecting: {expected}"
            )


def _writable(outputs: Mapping[str, Array]) -> dict[str, Any]:
    if not outputs:
        raise errors.InvalidArgumentError("Cannot convert empty tensor map to JSON")
    return {alias: _value(alias, array) for alias, array in outputs.items()}


def _value(alias: str, array: Array) -> Any:
    """Make an array or list that a JSON writer takes."""
    dtype = dtypes.of_array(array)
    if dtype is None or dtype.name in _UNWRITABLE:
        raise errors.InvalidArgumentError(
            f"Failed to write JSON value for tensor type: {dtype.name if dtype else array.dtype}"
        )
    if dtype is dtypes.STRING:
        write = _as_base64 if alias.endswith(_BYTES_SUFFIX) else _as_text
        return _map(write, array.tolist())
    if dtype.name == "float":
        array = json_numbers.shorten(array)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return array.tolist()
    return np.ascontiguousarray(array) if array.ndim else array.item()


def _map(write: Any, value: Any) -> Any:
    return [_map(write, item) for item in value] if isinstance(value, list) else write(value)


def _as_base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _as_text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _dump(value: dict[str, Any]) -> bytes:
    if _is_plain(value):
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    text = json.dumps(value, ensure_ascii=False, default=_as_list)
    return text.encode("utf-8", "surrogateescape")


def _as_list(value: Array) -> Any:
    return value.tolist()


def _is_plain(value: Any) -> bool:
    """Tell whether orjson writes a value as we want it; it knows no NaN and no lone surrogate."""
    match value:
        case dict():
            return all(map(_is_plain, value.values()))
        case list() | tuple():
            return all(map(_is_plain, value))
        case float():
            return value - value == 0
        case str():
            return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
        case _:
            return True
