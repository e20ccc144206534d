"""Reads bodies, and bears neither one that is too large nor too many at once."""

import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.servables import errors

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """All in bytes: one body as it comes, one after decompression, and all that are held."""

    body: int = 256 * 1024 * 1024
    decompressed: int = 100 * 1024 * 1024
    all_bodies: int = 1024 * 1024 * 1024


class TooLargeError(Exception):
    """The body is larger than the server takes; the message is a sentence."""


class Bodies:
    """All bodies that are held now; to be used from the event loop's thread alone."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._held = 0

    @contextmanager
    def place(self) -> Iterator["Place"]:
        """Make a place for one body, which is free again after the block."""
        place = Place(self, self._limits)
        try:
            yield place
        finally:
            self._held -= place.size

    def hold(self, size: int) -> None:
        """
        Count bytes of a body.

        Raises:
            ResourceError: There is no place for them.
        """
        self._held += size
        if self._held > self._limits.all_bodies:
            raise errors.ResourceError(
                f"The bodies of all requests together are larger than {self._limits.all_bodies} "
                "bytes, which is all this server holds at once; try again soon."
            )


class Place:
    """Where one body is held."""

    def __init__(self, bodies: Bodies, limits: BodyLimits) -> None:
        self.size = 0
        self._bodies = bodies
        self._limits = limits

    async def read(self, scope: Message, receive: Receive) -> bytes:
        """
        Read a whole body, as it comes.

        Raises:
            TooLargeError: It is larger than the limit.
            ServingError: The client has left, or all bodies together are too large.
        """
        limit = self._limits.body
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > limit:
                raise _too_large(limit)
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise errors.ServingError("The client left.", errors.Code.CANCELLED)
            part = message["body"]
            self.take(len(part))
            if self.size > limit:
                raise _too_large(limit)
            parts.append(part)
            if not message["more_body"]:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def take(self, size: int) -> None:
        """
        Count bytes.

        Raises:
            ResourceError: All bodies together are too large.
        """
        self.size += size
        self._bodies.hold(size)


def is_compressed(scope: Message) -> bool:
    """Tell whether a request says that its body is compressed."""
    return any(
        name == b"content-encoding" and b"gzip" in value.lower() for name, value in scope["headers"]
    )


def decompress(body: bytes, limit: int) -> bytes:
    """
    Decompress gzip; what is not gzip counts as an empty body, as in TensorFlow Serving.

    Raises:
        TooLargeError: The body would be larger than the limit, of which no more is made.
    """
    parts: list[bytes] = []
    left = limit
    while body:
        machine = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            part = machine.decompress(body, left + 1)
        except zlib.error:
            return b""
        left -= len(part)
        if left < 0:
            raise TooLargeError(
                f"The body is larger than {limit} bytes when it is decompressed, which is all "
                "this server takes."
            )
        if not machine.eof:
            return b""
        parts.append(part)
        # Several compressed pieces may follow one another.
        body = machine.unused_data
    return b"".join(parts)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than {limit} bytes, which is all this server takes.")
