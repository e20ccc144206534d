"""
TensorProto to numpy and back, in our own code and as TensorFlow does it.
"""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.tensors import dtypes, proto

NUMERIC = [dtype for dtype in dtypes.BY_NUMBER.values() if dtype is not dtypes.STRING]


def _round_trip(array: Any) -> Any:
    sent = proto.to_proto(array).SerializeToString()
    return proto.decode("x", messages.TensorProto.FromString(sent))


@pytest.mark.parametrize("dtype", NUMERIC, ids=lambda dtype: dtype.name)
@given(data=st.data())
def test_numbers(dtype: dtypes.DType, data: st.DataObject) -> None:
    """
    Every bit of every number of every type survives, whatever the shape.
    """
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    size = int(np.prod(shape)) * dtype.numpy.itemsize
    content = data.draw(st.binary(min_size=size, max_size=size))
    if dtype.name == "bool":
        content = bytes(byte & 1 for byte in content)
    array = np.frombuffer(content, dtype=dtype.numpy).reshape(shape)
    returned = _round_trip(array)
    assert (returned.dtype, returned.shape) == (array.dtype, array.shape)
    assert returned.tobytes() == array.tobytes()


@given(st.lists(st.binary(max_size=8), max_size=6))
def test_strings(values: list[bytes]) -> None:
    """
    Strings are bytes, empty ones included.
    """
    array = np.empty(len(values), dtype=object)
    array[:] = values
    assert _round_trip(array).tolist() == values


def test_text_is_sent_as_utf8() -> None:
    """
    Numpy's own kinds of strings are taken too.
    """
    assert _round_trip(np.array(["ä", "b"])).tolist() == ["ä".encode(), b"b"]
    assert _round_trip(np.array([b"a"])).tolist() == [b"a"]


def _tensor(number: int, *shape: int, **fields: Any) -> Any:
    message = messages.TensorProto(dtype=number, **fields)
    message.tensor_shape.SetInParent()
    for size in shape:
        message.tensor_shape.dim.add().size = size
    return message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (_tensor(1, 3, float_val=[1.0, 2.0]), [1.0, 2.0, 2.0]),
        (_tensor(1, 2), [0.0, 0.0]),
        (_tensor(1, float_val=[1.0]), 1.0),
        (_tensor(7, 2, string_val=[b"a"]), [b"a", b"a"]),
        (_tensor(7, 2), [b"", b""]),
        (_tensor(10, 2, bool_val=[True]), [True, True]),
        (_tensor(19, 1, half_val=[0x3C00]), [1.0]),
        (_tensor(1, 2, tensor_content=b"\0\0\x80?\0\0\0@"), [1.0, 2.0]),
        (_tensor(7, 3, tensor_content=b"\x01\x00\x02abb"), [b"a", b"", b"bb"]),
        (_tensor(3, 0, 5), []),
        (_tensor(6, 2, int_val=[-1, 127]), [-1, 127]),
        (_tensor(18, 1, dcomplex_val=[1.0, 2.0]), [1 + 2j]),
    ],
)
def test_fields(message: Any, expected: Any) -> None:
    """
    Values lie in their type's field, where the last one repeats, or packed as bytes.
    """
    assert proto.decode("x", message).tolist() == expected


@pytest.mark.parametrize(
    "message",
    [
        messages.TensorProto(),
        _tensor(20, 1),
        _tensor(1, -1),
        _tensor(1, 1, float_val=[1.0, 2.0]),
        _tensor(1, 1 << 50),
        _tensor(1, 1 << 40, 1 << 40, float_val=[1.0]),
        _tensor(1, 2, tensor_content=b"123"),
        _tensor(7, 2, tensor_content=b"\x05a"),
        _tensor(7, 2, tensor_content=b"\xff"),
        _tensor(9, 1, float_val=[1.0], int64_val=[1, 2]),
    ],
)
def test_contradictions(message: Any) -> None:
    """
    A message that contradicts itself, or asks for absurd room, is refused by its input's name.
    """
    with pytest.raises(InvalidArgumentError, match=r"^tensor parsing error: images$"):
        proto.decode("images", message)


def test_unknown_rank() -> None:
    """
    A value has a shape.
    """
    message = _tensor(1, float_val=[1.0])
    message.tensor_shape.unknown_rank = True
    with pytest.raises(InvalidArgumentError):
        proto.decode("x", message)


def test_scalars_have_a_shape() -> None:
    """
    A scalar's empty shape is told from none at all.
    """
    assert proto.to_proto(np.array(1.0)).HasField("tensor_shape")


def test_bfloat16_bits() -> None:
    """
    The sixteen bits travel as an integer.
    """
    assert list(proto.to_proto(np.array([1.0], ml_dtypes.bfloat16)).half_val) == [0x3F80]


@pytest.mark.parametrize(
    "array",
    [
        np.array([b"", b"a", b"\xff" * 300], object),
        np.array(b"a", object),
        np.array([[1, 2]], np.int16),
        np.zeros((0, 2), np.float64),
    ],
)
def test_content(array: Any) -> None:
    """
    Raw bytes give back what they were made of, strings with their lengths before them.
    """
    target = messages.TensorProto()
    proto.encode_content(array, target)
    assert not target.string_val
    back = proto.decode("x", target)
    assert back.shape == array.shape
    assert back.tolist() == array.tolist()
