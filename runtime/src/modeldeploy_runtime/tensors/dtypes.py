"""
The element types: their TensorFlow names and numbers, their numpy types, their TensorProto fields.

One table for the whole runtime; what is not in it cannot be sent or received.
"""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a signature; ``shape`` is ``None`` where even the rank is open."""

    tensor_name: str
    dtype: "DType"
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class DType:
    """One element type; ``field`` is where a TensorProto keeps its values."""

    name: str
    number: int
    numpy: "np.dtype[Any]"
    field: str


_TABLE = (
    DType("float", 1, np.dtype(np.float32), "float_val"),
    DType("double", 2, np.dtype(np.float64), "double_val"),
    DType("int32", 3, np.dtype(np.int32), "int_val"),
    DType("uint8", 4, np.dtype(np.uint8), "int_val"),
    DType("int16", 5, np.dtype(np.int16), "int_val"),
    DType("int8", 6, np.dtype(np.int8), "int_val"),
    DType("string", 7, np.dtype(object), "string_val"),
    DType("complex64", 8, np.dtype(np.complex64), "scomplex_val"),
    DType("int64", 9, np.dtype(np.int64), "int64_val"),
    DType("bool", 10, np.dtype(np.bool_), "bool_val"),
    DType("bfloat16", 14, np.dtype(ml_dtypes.bfloat16), "half_val"),
    DType("uint16", 17, np.dtype(np.uint16), "int_val"),
    DType("complex128", 18, np.dtype(np.complex128), "dcomplex_val"),
    DType("half", 19, np.dtype(np.float16), "half_val"),
    DType("uint32", 22, np.dtype(np.uint32), "uint32_val"),
    DType("uint64", 23, np.dtype(np.uint64), "uint64_val"),
)

BY_NUMBER = {dtype.number: dtype for dtype in _TABLE}
BY_NAME = {dtype.name: dtype for dtype in _TABLE}
STRING = BY_NAME["string"]
_BY_NUMPY = {dtype.numpy: dtype for dtype in _TABLE}


def show_shape(shape: tuple[int, ...]) -> str:
    """
    Write a shape as TensorFlow does.

    >>> show_shape((2, 3))
    '[2,3]'
    """
    return "[" + ",".join(map(str, shape)) + "]"


def enum_name(array: Array) -> str:
    """
    Name the type of an array's elements as the wire's enumeration does.

    >>> enum_name(np.zeros(1, np.float32))
    'DT_FLOAT'
    """
    dtype = of_array(array)
    return f"DT_{dtype.name.upper()}" if dtype else str(array.dtype)


def of_array(array: Array) -> DType | None:
    """Find the type of an array's elements; strings may come as objects or as numpy's bytes."""
    if array.dtype.kind in "OSU":
        return STRING
    return _BY_NUMPY.get(array.dtype)
