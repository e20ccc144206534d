"""
Bytes to requests, within limits.

httptools, the parser of Node.js, decides what is HTTP, strictly: what a proxy in front of this
server might read in another way, such as both a length and chunks, is refused.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import httptools

from modeldeploy_runtime.transports.http import limits
from modeldeploy_runtime.transports.http.limits import Breach, HttpLimits

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before a body; the names of headers are in lower case."""

    method: str
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool


class Sink(Protocol):
    """Who takes what is read."""

    def on_request(self, head: Head) -> None:
        """Take a head, after which its body comes."""

    def on_piece(self, body: bytes) -> None:
        """Take a piece of the body."""

    def on_end(self) -> None:
        """Note that the body is complete."""


class Reader:
    """Reads one connection; after a breach it must not be fed again."""

    def __init__(self, sink: Sink, most: HttpLimits, now: Callable[[], float]) -> None:
        self.in_head = False
        # When the head or the body that is coming began, and how much of the body has come.
        self.since = 0.0
        self.received = 0
        # How much of the body is still to come, as far as that was announced.
        self.announced = 0
        self._sink = sink
        self._limits = most
        self._now = now
        self._parser = httptools.HttpRequestParser(self)
        self._breach: Breach | None = None
        self._head_began = self._offers_upgrade = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0

    def feed(self, data: memoryview) -> Breach | None:
        """Read bytes, and tell which limit they break."""
        self._head_began = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._ignore_upgrade(bytes(data[upgrade.args[0] :]))
        except httptools.HttpParserCallbackError:
            _log.exception("A request could not be taken.")
            return limits.malformed("it cannot be taken")
        except httptools.HttpParserError as error:
            return self._breach or limits.malformed(str(error))
        # What came with a head's beginning was counted as it was understood.
        if self.in_head and not self._head_began:
            self._count(len(data))
        return self._breach

    def _ignore_upgrade(self, rest: bytes) -> Breach | None:
        """Read a request that offers another protocol as if it did not."""
        self._offers_upgrade = False
        method = self._parser.get_method()
        if method == b"CONNECT":
            return Breach(405, "CONNECT is not possible: this server is no proxy.")
        kept = [item for item in self._headers if item[0] not in {b"upgrade", b"connection"}]
        lines = [b"%s: %s\r\n" % item for item in kept]
        start = b"%s %s HTTP/1.1\r\n" % (method, self._url)
        self._parser = httptools.HttpRequestParser(self)
        return self.feed(memoryview(b"".join((start, *lines, b"\r\n", rest))))

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.headers:
            self._breach = limits.long_headers(self._limits)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.in_head = self._head_began = True
        self._url, self._headers, self._head_size = b"", [], 0
        self.since = self._now()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the path."""
        self._url += url
        if len(self._url) > self._limits.request_line:
            self._breach = limits.long_request_line(self._limits)

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """Take a header."""
        value = value or b""
        if not self.in_head:
            return
        self._headers.append((name.lower(), value))
        if self._head_began:
            self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """Hand the head on."""
        self.in_head = False
        self._offers_upgrade = self._parser.should_upgrade()
        if self._breach is not None or self._offers_upgrade:
            return
        self.received, self.since, self.announced = 0, self._now(), 0
        for name, value in self._headers:
            if name == b"content-length":
                self.announced = int(value)
        parser, target = self._parser, self._url.partition(b"#")[0]
        if not target.startswith(b"/"):
            # A proxy's client names the host, too.
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        self._sink.on_request(
            Head(
                method=parser.get_method().decode("ascii"),
                target=target,
                version=parser.get_http_version(),
                headers=self._headers,
                keep_alive=parser.should_keep_alive(),
            )
        )

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        if self._breach is None and not self._offers_upgrade:
            self.received += len(body)
            self.announced = max(0, self.announced - len(body))
            self._sink.on_piece(body)

    def on_message_complete(self) -> None:
        """Hand the end of the body on."""
        self.announced = 0
        if self._breach is None and not self._offers_upgrade:
            self._sink.on_end()
