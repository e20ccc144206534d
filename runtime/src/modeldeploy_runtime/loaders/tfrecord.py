"""
Reads and writes TFRecord files: length, its checksum, payload, its checksum, all little-endian.

The checksum is CRC-32C, turned and shifted ("masked") so that checksums of checksums stay strong.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

# The bytes that a record takes beside its payload.
OVERHEAD = 16

_MASK_DELTA = 0xA282EAD8


class CorruptRecordError(Exception):
    """The bytes are not those of a TFRecord file."""


def masked_crc(data: bytes) -> int:
    """Compute the checksum that TFRecord files hold for these bytes."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def read(file: BinaryIO) -> Iterator[bytes]:
    """
    Yield the payloads of a file, one after the other.

    Raises:
        CorruptRecordError: A checksum is wrong, or the file ends inside a record.
    """
    while header := file.read(8):
        (length,) = struct.unpack("<Q", _checked(header, file.read(4), 8))
        # The length is believed only after its own checksum: it sizes the next read.
        yield _checked(file.read(length), file.read(4), length)


def _checked(data: bytes, checksum: bytes, length: int) -> bytes:
    if len(data) != length or len(checksum) != 4:
        raise CorruptRecordError("The file ends inside a record.")
    if struct.unpack("<I", checksum)[0] != masked_crc(data):
        raise CorruptRecordError("A record does not match its checksum.")
    return data


def pack(payload: bytes) -> bytes:
    """Make the bytes of one record."""
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (
            length,
            struct.pack("<I", masked_crc(length)),
            payload,
            struct.pack("<I", masked_crc(payload)),
        )
    )
