"""
Arrays to JSON.
"""

import ctypes
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.tensors import json_numbers, json_out

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _as_c_prints(number: float) -> float:
    """
    Read back what C prints: six digits if they are enough for a float, else nine.
    """
    buffer = ctypes.create_string_buffer(64)
    ctypes.CDLL(None).snprintf(buffer, 64, b"%g", ctypes.c_double(number))
    short = float(buffer.value)
    with np.errstate(over="ignore"):
        if np.float32(short) == np.float32(number):
            return short
    ctypes.CDLL(None).snprintf(buffer, 64, b"%.9g", ctypes.c_double(number))
    return float(buffer.value)


@given(FLOATS)
def test_one_number(number: float) -> None:
    """
    A client reads the same double that TensorFlow Serving's digits give it.
    """
    assert json_numbers.shorten_one(number) == _as_c_prints(number)


@given(arrays.arrays(np.float32, st.integers(33, 60), elements=st.floats(width=32)))
def test_many_numbers(array: Any) -> None:
    """
    Large arrays give the same doubles as one number at a time.
    """
    expected = [json_numbers.shorten_one(number) for number in array.tolist()]
    np.testing.assert_array_equal(json_numbers.shorten(array), np.array(expected))


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"y": np.array([2.5, 3.0, 4.5], np.float32)}, '{"predictions":[2.5,3.0,4.5]}'),
        ({"y": np.zeros((0, 2), np.float32)}, '{"predictions":[]}'),
        ({"y": np.array([[1], [2]], np.int64)}, '{"predictions":[[1],[2]]}'),
        (
            {"a": np.array([1, 2]), "b": np.array([True, False])},
            '{"predictions":[{"a":1,"b":true},{"a":2,"b":false}]}',
        ),
        (
            {"s": np.array(["ä".encode(), b'"'], object)},
            '{"predictions":["ä","\\""]}',
        ),
        ({"s_bytes": np.array([b"\xff"], object)}, '{"predictions":[{"b64":"/w=="}]}'),
        (
            {"y": np.array([np.nan, np.inf, -np.inf], np.float32)},
            '{"predictions": [NaN, Infinity, -Infinity]}',
        ),
        ({"y": np.asfortranarray(np.array([[1, 2], [3, 4]]))}, '{"predictions":[[1,2],[3,4]]}'),
    ],
)
def test_rows(outputs: Any, text: str) -> None:
    """
    Rows come one after the other, as values or as objects.
    """
    assert json_out.rows(outputs).decode() == text


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({"y": np.array(1.5)}, '{"outputs":1.5}'),
        ({"y": np.float32(0.2).reshape(())}, '{"outputs":0.2}'),
        ({"y": np.array(b"a", object)}, '{"outputs":"a"}'),
        ({"a": np.array([1.0]), "b": np.array(2)}, '{"outputs":{"a":[1.0],"b":2}}'),
        ({"a": np.array([1.0]), "b": np.array(np.nan)}, '{"outputs": {"a": [1.0], "b": NaN}}'),
    ],
)
def test_columns(outputs: Any, text: str) -> None:
    """
    Whole tensors stand under their names, or alone.
    """
    assert json_out.columns(outputs).decode() == text


def test_bytes_that_are_no_text() -> None:
    """
    Bytes that are no UTF-8 pass through as they are, as in TensorFlow Serving.
    """
    assert json_out.columns({"s": np.array([b"\xff"], object)}) == b'{"outputs": ["\xff"]}'


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": np.array(1.0)}, "Tensor name: y has no shape information "),
        (
            {"a": np.ones(2), "b": np.ones(3)},
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
        ({"y": np.ones(1, np.float16)}, "Failed to write JSON value for tensor type: half"),
        ({"y": np.ones(1, np.complex64)}, "Failed to write JSON value for tensor type: complex64"),
    ],
)
def test_refusals(outputs: Any, message: str) -> None:
    """
    What cannot be written is refused with TensorFlow Serving's sentence.
    """
    with pytest.raises(InvalidArgumentError) as caught:
        json_out.rows(outputs)
    assert caught.value.message == message


@given(arrays.arrays(np.float64, arrays.array_shapes(max_dims=3, max_side=3)))
def test_doubles(array: Any) -> None:
    """
    Doubles keep every bit.
    """
    returned = np.array(json.loads(json_out.rows({"y": array}))["predictions"])
    np.testing.assert_array_equal(returned.reshape(array.shape), array)
