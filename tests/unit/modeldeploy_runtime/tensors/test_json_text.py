"""
JSON bodies, right and wrong.
"""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.tensors import json_lenient, json_text

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(VALUES)
def test_lenient_parser_agrees(value: Any) -> None:
    """
    What is JSON means the same to our parser as to everybody else's.
    """
    assert json_lenient.parse(json.dumps(value)) == value
    assert json_lenient.parse(json.dumps(value, indent=2, ensure_ascii=False)) == value


def _read_or_refuse(body: bytes) -> None:
    with contextlib.suppress(InvalidArgumentError):
        json_text.parse(body)


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsnINnityNaN\\ \n"u', max_size=60))
def test_any_text(text: str) -> None:
    """
    Any text is either read or refused with a sentence; nothing else comes out.
    """
    _read_or_refuse(text.encode())


@given(st.binary(max_size=40))
def test_any_bytes(body: bytes) -> None:
    """
    Bytes that are no text at all are refused as politely.
    """
    _read_or_refuse(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": Infinity}', {"a": math.inf}),
        (b'{"a": -Inf, "b": Inf}', {"a": -math.inf, "b": math.inf}),
        (b'{"a": 1} and more', {"a": 1}),
        (b'\n {"a": 1}}', {"a": 1}),
        (b'"\xff"', "\udcff"),
        (b"[]x", []),
        (b"[ ]x", []),
        (b"{ }x", {}),
        (b'{"a":1,"a":2,"b":Inf}', {"a": 1, "b": math.inf}),
    ],
)
def test_leniency(body: bytes, value: Any) -> None:
    """
    What TensorFlow Serving tolerates is tolerated.
    """
    assert json_text.parse(body).value == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b"\n\n", "The document is empty. at offset: 2"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b'{"a":1,}', "Missing a name for object member. at offset: 7"),
        (b'["\x01"]', "Invalid encoding in string. at offset: 2"),
        (b'["\\q"]', "Invalid escape character in string. at offset: 1"),
        ('["ä" 1]'.encode(), "Missing a comma or ']' after an array element. at offset: 6"),
        (b"[nan]", "Invalid value. at offset: 1"),
        (b"[-]", "Invalid value. at offset: 1"),
    ],
)
def test_messages(body: bytes, message: str) -> None:
    """
    A message says what is wrong and at which byte.
    """
    with pytest.raises(InvalidArgumentError) as caught:
        json_text.parse(body)
    assert caught.value.message == f"JSON Parse error: {message}"


def test_words() -> None:
    """
    A document knows whether words may be inside.
    """
    assert json_text.parse(b"[true]").has_words
    assert json_text.parse(b'["null"]').has_words
    assert not json_text.parse(b'["a", 1]').has_words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (1.0, "1.0"),
        ("ä", '"ä"'),
        ([1, [2]], "[1, [2]]"),
        ({}, "{}"),
        ({"a": [1], "b": {"c": True}}, '{\n    "a": [1],\n    "b": {\n        "c": true\n    }\n}'),
    ],
)
def test_show(value: Any, shown: str) -> None:
    """
    Values are shown with objects over several lines and lists on one.
    """
    assert json_text.show(value) == shown


def test_show_is_short() -> None:
    """
    However large a value is, little of it is shown.
    """
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert len(json_text.show(deep)) < 300
    assert len(json_text.show(list(range(100_000)))) < 300


@pytest.mark.parametrize(
    "text",
    [
        r'"\ud800"',
        r'"a\udc00"',
        r'"\udc00\ud800"',
        r'"\ud83d \ude00"',
        r'{"\uD800": 1}',
        r'"\ud800\\udc00"',
    ],
)
def test_half_characters(text: str) -> None:
    """
    Half of a pair is refused: it could be neither a tensor's bytes nor part of a message.
    """
    with pytest.raises(InvalidArgumentError, match="The surrogate pair in string is inv"):
        json_text.parse(text.encode())


@pytest.mark.parametrize("tail", ["", " trailing"])
def test_whole_characters(tail: str) -> None:
    """
    Both halves together are one character, and a backslash before them is only that.
    """
    assert json_text.parse(rf'"\ud83d\ude00 \\ud800"{tail}'.encode()).value == "\U0001f600 \\ud800"


def test_too_deep() -> None:
    """
    Depth has a bound, and the message says it.
    """
    with pytest.raises(InvalidArgumentError, match=r"nested more than 10000 deep\."):
        json_text.parse(b"[" * 20_000)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [1], "instances": [2]}',
        b'{"instances": [1], "instances": [NaN]}',
        b'{"instances": [1], "instances": [2], "more": Inf}',
    ],
)
def test_the_first_of_equal_keys_counts(body: bytes) -> None:
    """
    Whichever parser reads a body, a key that is given twice keeps its first value.
    """
    assert json_text.parse(body).value["instances"] == [1]
