"""
Compressed responses, for clients that ask for gzip, where it pays: pure.

The fastest level is used: the better ones cost ten times as much to save another tenth.
"""

import re
import zlib
from collections.abc import Mapping

_LEVEL = 1
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
HEADERS = [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]

_ACCEPTED = re.compile(rb"\s*(gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?", re.IGNORECASE)


def is_wanted(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a client takes gzip; a quality of 0 means that it does not."""
    wanted: dict[bytes, bool] = {}
    for entry in headers.get(b"accept-encoding", b"").split(b","):
        if match := _ACCEPTED.fullmatch(entry):
            wanted[match[1].lower()] = bool(match[2] is None or match[2].strip(b"0."))
    return wanted.get(b"gzip", wanted.get(b"x-gzip", wanted.get(b"*", False)))


def compress(body: bytes) -> bytes:
    """Make a gzip stream of a body."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()
