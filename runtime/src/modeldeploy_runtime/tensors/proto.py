"""
TensorProto to numpy and back.

Received tensors keep their values in ``tensor_content`` or in the field of their type, where the
last value stands for all that are missing.  Sent tensors use the field of their type, which is what
clients of TensorFlow Serving read.
"""

import math
from typing import Any

import numpy as np

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes
from modeldeploy_runtime.tensors.dtypes import Array, DType

# A few bytes may claim a tensor of any size, as missing values repeat: up to here we believe them.
MAX_FILLED_BYTES = 64 << 20

# These fields hold packed fixed-size values: their bytes on the wire are those of the array.
_PACKED = ("float_val", "double_val", "scomplex_val", "bool_val", "dcomplex_val")
_LENGTH_DELIMITED = 2
_FIELDS = messages.TensorProto.DESCRIPTOR.fields_by_name
_PACKED_TAGS = {name: bytes([_FIELDS[name].number << 3 | _LENGTH_DELIMITED]) for name in _PACKED}


def decode(alias: str, proto: Any) -> Array:
    """
    Make an array of a TensorProto.

    Raises:
        InvalidArgumentError: The message contradicts itself or has a type that cannot be received.
    """
    dtype = dtypes.BY_NUMBER.get(proto.dtype)
    shape = _shape(proto)
    if dtype is None or shape is None:
        raise errors.InvalidArgumentError(f"tensor parsing error: {alias}")
    count = math.prod(shape)
    try:
        flat = (
            _content(proto, dtype, count) if proto.tensor_content else _values(proto, dtype, count)
        )
        return flat.reshape(shape)
    except ValueError as error:
        raise errors.InvalidArgumentError(f"tensor parsing error: {alias}") from error


def _shape(proto: Any) -> tuple[int, ...] | None:
    if proto.tensor_shape.unknown_rank:
        return None
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    return None if any(size < 0 for size in shape) else shape


def _content(proto: Any, dtype: DType, count: int) -> Array:
    if dtype is dtypes.STRING:
        return _string_content(proto.tensor_content, count)
    return np.frombuffer(proto.tensor_content, dtype=dtype.numpy)


def _string_content(content: bytes, count: int) -> Array:
    """Read the packed form of strings: all lengths as varints, then all bytes."""
    lengths, position = [], 0
    for _ in range(count):
        length, position = _read_varint(content, position)
        lengths.append(length)
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    if position != len(content):
        raise ValueError("The strings do not fill their bytes.")
    return _objects(strings)


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(content):
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte <= 0x7F:
            return value, position
    raise ValueError("A length is cut off.")


def _objects(values: list[bytes]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _values(proto: Any, dtype: DType, count: int) -> Array:
    found = _field(proto, dtype)
    if len(found) == count:
        return found
    if len(found) > count or count * dtype.numpy.itemsize > MAX_FILLED_BYTES:
        raise ValueError("The number of values does not fit the shape.")
    filler = found[-1] if len(found) else (b"" if dtype is dtypes.STRING else dtype.numpy.type(0))
    filled = np.full(count, filler, dtype=dtype.numpy)
    filled[: len(found)] = found
    return filled


def _field(proto: Any, dtype: DType) -> Array:
    values = getattr(proto, dtype.field)
    if dtype is dtypes.STRING:
        return _objects(list(values))
    if dtype.field == "half_val":
        return np.array(values, dtype=np.int32).astype(np.uint16).view(dtype.numpy)
    if dtype.field == "scomplex_val":
        return np.array(values, dtype=np.float32).view(np.complex64)
    if dtype.field == "dcomplex_val":
        return np.array(values, dtype=np.float64).view(np.complex128)
    if dtype.field == "int_val":
        return np.array(values, dtype=np.int32).astype(dtype.numpy)
    return np.array(values, dtype=dtype.numpy)


def encode(array: Array, target: Any) -> None:
    """Fill an empty TensorProto with an array, in the field of its type."""
    dtype = _describe(array, target)
    if not array.size:
        return
    tag = _PACKED_TAGS.get(dtype.field)
    if tag is not None:
        content = np.ascontiguousarray(array).tobytes()
        # Appending wire bytes takes microseconds; numbers one by one take thousands.
        target.MergeFromString(tag + _varint(len(content)) + content)
        return
    getattr(target, dtype.field).extend(_plain(array, dtype))


def encode_content(array: Array, target: Any) -> None:
    """Fill an empty TensorProto with an array, as raw bytes in ``tensor_content``."""
    dtype = _describe(array, target)
    if dtype is dtypes.STRING:
        values = _plain(array, dtype)
        target.tensor_content = b"".join((*(_varint(len(value)) for value in values), *values))
    else:
        target.tensor_content = np.ascontiguousarray(array).tobytes()


def _describe(array: Array, target: Any) -> DType:
    """Fill the type and shape of a TensorProto."""
    dtype = dtypes.of_array(array)
    if dtype is None:
        raise errors.InternalError(f"Tensors of type {array.dtype} cannot be sent.")
    target.dtype = dtype.number
    # An empty shape is a scalar's, which must be told from no shape at all.
    target.tensor_shape.SetInParent()
    for size in array.shape:
        target.tensor_shape.dim.add().size = size
    return dtype


def _plain(array: Array, dtype: DType) -> list[Any]:
    flat = array.reshape(-1)
    if dtype is dtypes.STRING:
        return [value.encode() if isinstance(value, str) else value for value in flat.tolist()]
    if dtype.field == "half_val":
        return list(np.ascontiguousarray(flat).view(np.uint16).tolist())
    return list(flat.tolist())


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def to_proto(array: Array) -> Any:
    """Make a TensorProto of an array."""
    target = messages.TensorProto()
    encode(array, target)
    return target
