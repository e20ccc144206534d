"""
JSON values to arrays: the fast way and the careful way agree.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.servables.errors import InvalidArgumentError, ServingError
from modeldeploy_runtime.tensors import dtypes, json_values

NAMES = ("float", "double", "int32", "int64", "uint8", "uint64", "bool", "string", "half")
SCALARS = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(-3, 300)
    | st.sampled_from((10**400, -(10**400)))
    | st.floats()
    | st.just("text")
    | st.none()
)
NESTED = st.recursive(SCALARS, lambda children: st.lists(children, max_size=3), max_leaves=8)


def _result(convert: Any, value: Any, dtype: dtypes.DType) -> Any:
    try:
        array = convert(value, dtype)
    except ServingError as error:
        return error.message
    return array.dtype, array.shape, [repr(item) for item in array.reshape(-1).tolist()]


@given(NESTED, st.sampled_from(NAMES))
def test_fast_is_careful(value: Any, name: str) -> None:
    """
    What is converted at once is what value by value would give.
    """
    dtype = dtypes.BY_NAME[name]
    words = _has_words(value)

    def fast(value: Any, dtype: dtypes.DType) -> Any:
        return json_values.to_array(value, dtype, has_words=words)

    assert _result(fast, value, dtype) == _result(json_values.walk, value, dtype)


def _has_words(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_words, value))
    return value is None or isinstance(value, bool)


@pytest.mark.parametrize(
    ("text", "decoded"),
    [("", b""), ("YQ==", b"a"), ("YQ", b"a"), ("/+8=", b"\xff\xef"), ("w6Q", "ä".encode())],
)
def test_base64(text: str, decoded: bytes) -> None:
    """
    The padding of base64 may be left out.
    """
    assert json_values.decode_base64(text) == decoded


@pytest.mark.parametrize("text", ["Y", "Y Q", "_w", "-w", "ä"])
def test_bad_base64(text: str) -> None:
    """
    Other alphabets are not guessed at.
    """
    with pytest.raises(InvalidArgumentError, match="Unable to base64 decode"):
        json_values.decode_base64(text)


def test_rank_has_a_limit() -> None:
    """
    No tensor is nested deeper than TensorFlow knows.
    """
    value: Any = 1.0
    for _ in range(5000):
        value = [value]
    with pytest.raises(InvalidArgumentError, match="unexpected level"):
        json_values.to_array(value, dtypes.BY_NAME["float"], has_words=False)


def test_empty_lists() -> None:
    """
    An empty list is a dimension of 0, of any type.
    """
    for name in ("float", "int32", "bool", "string"):
        array = json_values.to_array([[], []], dtypes.BY_NAME[name], has_words=False)
        assert (array.shape, array.dtype) == ((2, 0), dtypes.BY_NAME[name].numpy)


def test_overflow() -> None:
    """
    What a float cannot hold is infinite or 0, as in TensorFlow Serving.
    """
    array = json_values.to_array([1e39, -1e39, 1e-50], dtypes.BY_NAME["float"], has_words=False)
    np.testing.assert_array_equal(array, np.array([np.inf, -np.inf, 0], np.float32))


@pytest.mark.parametrize("name", ["float", "double"])
def test_integers_beyond_the_floats(name: str) -> None:
    """
    An integer with more digits than a float can count is infinite, with its sign.
    """
    dtype = dtypes.BY_NAME[name]
    value = [10**400, -(10**400)]
    for array in (
        json_values.to_array(value, dtype, has_words=False),
        json_values.walk(value, dtype),
    ):
        assert array.tolist() == [np.inf, -np.inf]
