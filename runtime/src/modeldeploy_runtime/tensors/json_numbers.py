"""
float32 as TensorFlow Serving writes it in JSON.

It prints six significant digits where they give the same float32 back, else nine.  A client that
reads the text as double therefore sees 0.2 and not 0.20000000298; these functions compute exactly
the doubles that it sees, which orjson then writes in their shortest form.

>>> shorten(np.array([0.2, 1 / 3], dtype=np.float32)).tolist()
[0.2, 0.333333343]
"""

import struct

import numpy as np

from modeldeploy_runtime.tensors.dtypes import Array

# Below this size Python's own formatting is faster than a dozen passes of numpy.
_SMALL = 32
_float32 = struct.Struct("f")
# Powers of ten that a double holds exactly: scaling by them rounds correctly.
_MAX_EXPONENT = 22
_POWERS = np.array([float(f"1e{exponent}") for exponent in range(_MAX_EXPONENT + 1)])


def shorten(array: Array) -> Array:
    """Turn a float32 array into the doubles that a reader of the JSON text gets."""
    if array.size <= _SMALL:
        flat = [shorten_one(number) for number in array.reshape(-1).tolist()]
        return np.array(flat, dtype=np.float64).reshape(array.shape)
    doubles = array.astype(np.float64)
    six = _round(doubles, 6)
    with np.errstate(over="ignore"):
        exact = six.astype(np.float32) == array
    return np.where(exact | ~np.isfinite(doubles), six, _round(doubles, 9))


def shorten_one(number: float) -> float:
    """Turn one number, which is exactly a float32."""
    six = float(f"{number:.6g}")
    try:
        if _float32.unpack(_float32.pack(six))[0] == number:
            return six
    except OverflowError:
        pass
    return float(f"{number:.9g}")


def _round(doubles: Array, digits: int) -> Array:
    """Round to significant digits; numbers of extreme size go the slow way."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.floor(np.log10(np.abs(doubles)))
    ordinary = np.isfinite(exponents)
    shifts = np.where(ordinary, digits - 1 - exponents, 0).astype(np.int64)
    scale = _POWERS[np.clip(np.abs(shifts), 0, _MAX_EXPONENT)]
    up = shifts >= 0
    with np.errstate(invalid="ignore"):
        whole = np.rint(np.where(up, doubles * scale, doubles / scale))
        rounded = np.where(up, whole / scale, whole * scale)
    rounded = np.where(ordinary, rounded, doubles)
    for index in np.argwhere(ordinary & (np.abs(shifts) > _MAX_EXPONENT)):
        position = tuple(index)
        rounded[position] = float(f"{doubles[position]:.{digits}g}")
    return np.asarray(rounded)
