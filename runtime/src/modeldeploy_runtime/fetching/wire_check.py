"""
Tells whether a file can be a SavedModel at all, without TensorFlow: pure.

A SavedModel is a protobuf message with two fields.  Walking over its outermost fields finds files
that are cut off or are something else, at the price of reading a few bytes of each field's head.
"""

from typing import BinaryIO

_META_GRAPHS = 2


def what_is_wrong(file: BinaryIO, size: int) -> str | None:
    """Say why a file cannot be a SavedModel, or ``None``."""
    has_graph = False
    try:
        while file.tell() < size:
            key = _varint(file)
            has_graph |= key >> 3 == _META_GRAPHS
            _skip(file, key & 7)
            if file.tell() > size:
                return "it ends in the middle"
    except ValueError:
        return "it is not a SavedModel"
    return None if has_graph else "it holds no graph"


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] <= 0x7F:
            return value
    raise ValueError("A number is cut off or too long.")


def _skip(file: BinaryIO, kind: int) -> None:
    match kind:
        case 0:
            _varint(file)
        case 1:
            file.seek(8, 1)
        case 2:
            file.seek(_varint(file), 1)
        case 5:
            file.seek(4, 1)
        case _:
            raise ValueError("There is no such kind of field.")
