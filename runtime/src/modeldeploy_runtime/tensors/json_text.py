"""
JSON bytes to values, as leniently as TensorFlow Serving reads them.

orjson reads what is JSON.  What it refuses is given to Python's own parser, which knows ``NaN`` and
``Infinity`` and does not mind what follows the document, and at last to ours, which knows ``Inf``
and finds the words for what is wrong.
"""

import contextlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any

import orjson

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import json_lenient


@dataclass(frozen=True, slots=True)
class Document:
    """
    A parsed body.

    ``has_words`` tells whether a true, false or null may be somewhere inside, which spares the
    conversion of numbers a look at each of them.
    """

    value: Any
    has_words: bool


_KEYS = {
    key: f'"{key}"'.encode()
    for key in ("instances", "inputs", "signature_name", "examples", "context")
}
_WORDS = (b"true", b"false", b"null")
# Python's parser takes half a character for a whole one, which TensorFlow Serving refuses.
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\n\r]*")


def parse(body: bytes) -> Document:
    """
    Parse a request's body.

    Raises:
        InvalidArgumentError: The body is not JSON.
    """
    has_words = any(word in body for word in _WORDS)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Document(_parse_leniently(body), has_words)
    # Of a key that is given twice, TensorFlow Serving takes the first and orjson the last.
    if isinstance(value, dict) and any(
        key in value and body.count(quoted) > 1 for key, quoted in _KEYS.items()
    ):
        value = _parse_leniently(body)
    return Document(value, has_words)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("The number is too big.")
    return number


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        made.setdefault(key, value)
    return made


_decoder = json.JSONDecoder(parse_float=_finite, object_pairs_hook=_first_of_each)


def _parse_leniently(body: bytes) -> Any:
    # Bytes that are no UTF-8 live on as lone surrogates and leave as the bytes that they were.
    text = body.decode("utf-8", "surrogateescape")
    start = _SPACE.match(text)
    if not _HALF_CHARACTER.search(text):
        with contextlib.suppress(ValueError, RecursionError):
            return _decoder.raw_decode(text, start.end() if start else 0)[0]
    try:
        return json_lenient.parse(text)
    except json_lenient.JSONTextError as error:
        raise errors.InvalidArgumentError(f"JSON Parse error: {error}") from error


_TYPES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
_MAX_SHOWN = 256


def type_name(value: Any) -> str:
    """Name the kind of a JSON value."""
    if value is None or isinstance(value, bool):
        return {None: "Null", True: "True", False: "False"}[value]
    return _TYPES[type(value)]


def show(value: Any) -> str:
    """Write a value for a message: objects on several lines, lists on one, and never much."""
    text = _show(value, "", 0)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def _show(value: Any, indent: str, depth: int) -> str:
    # Nobody reads deeper, and a hostile body may be thousands deep.
    if depth > 16:
        return "..."
    inner = indent + "    "
    match value:
        case dict():
            parts = [
                f"{inner}{json.dumps(key)}: {_show(item, inner, depth + 1)}"
                for key, item in list(value.items())[:_MAX_SHOWN]
            ]
            return "{\n" + ",\n".join(parts) + f"\n{indent}}}" if parts else "{}"
        case list():
            shown = (_show(item, inner, depth + 1) for item in value[:_MAX_SHOWN])
            return "[" + ", ".join(shown) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
