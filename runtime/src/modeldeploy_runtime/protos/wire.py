"""Walks over the outermost fields of a protobuf message in a file, and reads nothing else of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Field:
    """
    Where a field stands: from ``start``, where its key is, to before ``stop``.

    Its value begins at ``content``.  ``stop`` may lie behind the end of a file that is cut off.
    """

    number: int
    start: int
    content: int
    stop: int


def fields(file: BinaryIO, end: int) -> Iterator[Field]:
    """
    Find the fields from the file's position up to ``end``; the caller may read in between.

    Raises:
        ValueError: This is no protobuf message.
    """
    stop = file.tell()
    while stop < end:
        file.seek(stop)
        start = stop
        key = _varint(file)
        size = _size(file, key & 7)
        content = file.tell()
        stop = content + size
        yield Field(key >> 3, start, content, stop)


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


def _size(file: BinaryIO, kind: int) -> int:
    """Tell how many bytes of a value are left to be read."""
    match kind:
        case 0:
            _varint(file)
            return 0
        case 1:
            return 8
        case 2:
            return _varint(file)
        case 5:
            return 4
        case _:
            raise ValueError("There is no such kind of field.")
