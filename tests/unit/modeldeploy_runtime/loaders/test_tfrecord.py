"""
TFRecord files.
"""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.loaders.tfrecord import CorruptRecordError


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_round_trip(payloads: list[bytes]) -> None:
    """
    What is packed is read again.
    """
    file = io.BytesIO(b"".join(map(tfrecord.pack, payloads)))
    assert list(tfrecord.read(file)) == payloads


def test_known_bytes() -> None:
    """
    The checksum is the one that everybody else computes.
    """
    # The CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720), here turned and shifted.
    crc = 0x8A9136AA
    expected = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert tfrecord.masked_crc(bytes(32)) == expected


@given(st.binary(min_size=1, max_size=50), st.data())
def test_damage(payload: bytes, data: st.DataObject) -> None:
    """
    Any single damaged or missing byte is found.
    """
    record = bytearray(tfrecord.pack(payload))
    position = data.draw(st.integers(0, len(record) - 1))
    cut = data.draw(st.booleans())
    if cut:
        del record[max(1, position) :]
    else:
        record[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptRecordError):
        list(tfrecord.read(io.BytesIO(bytes(record))))
