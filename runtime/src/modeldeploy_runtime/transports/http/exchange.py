"""One HTTP request and its answer, as ASGI sees them."""

import asyncio
import http
from collections.abc import MutableMapping
from typing import Any, Protocol

from modeldeploy_runtime.transports.http.limits import Breach

Message = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]

# A larger body is written by itself: copying it would cost more than a second write.
_COPIED = 64 * 1024

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in http.HTTPStatus
}


class Link(Protocol):
    """What an exchange needs of its connection."""

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""

    def want_body(self) -> None:
        """Go on reading, if it was stopped."""

    def finished(self, exchange: "Exchange") -> None:
        """Note that the answer is written."""


def head(status: int, headers: Headers, date: bytes) -> bytes:
    """Write a status line and headers; a status without a phrase of its own is fine."""
    parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, b"date: ", date, b"\r\n"]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def refusal(breach: Breach, body: bytes, date: bytes) -> bytes:
    """Write the answer to a request that never reaches the application."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if breach.status == 503:
        headers.append((b"retry-after", b"1"))
    return head(breach.status, headers, date) + body


class Exchange:
    """
    Receives one request and sends its answer; to be used from the event loop's thread alone.

    The answer is one piece with a ``content-length``.  What is sent after the connection has gone,
    or has answered by itself, is dropped.
    """

    def __init__(self, link: Link, scope: Message, *, keep_alive: bool) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.more_body = True
        self.gone = False
        self.answered = False
        self.buffered = 0
        # Whether the client waits for a word before it sends its body.
        self.expects = any(
            name == b"expect" and value.lower() == b"100-continue"
            for name, value in scope["headers"]
        )
        self._link = link
        self._parts: list[bytes] = []
        self._delivered = False
        self._waiter: asyncio.Future[None] | None = None
        self._start: Message = {}

    def feed(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._parts.append(data)
        self.buffered += len(data)
        self._wake()

    def end(self) -> None:
        """Note that the body is complete."""
        self.more_body = False
        self._wake()

    def lose(self) -> None:
        """Note that nobody waits for the answer any longer."""
        self.gone = True
        self._parts.clear()
        self._wake()

    async def receive(self) -> Message:
        """Give the application the next piece of the body, or tell it that the client has left."""
        if self.expects and self.more_body and not self.gone:
            self._link.write(_CONTINUE)
        self.expects = False
        while not self.gone and not self._parts and (self.more_body or self._delivered):
            self._link.want_body()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.gone:
            return {"type": "http.disconnect"}
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.buffered = 0
        self._delivered = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Take the answer's start, and then the answer's body, from the application."""
        if message["type"] == "http.response.start":
            self._start = message
        elif not self.gone and not self.answered:
            self._answer(message["body"])

    def _answer(self, body: bytes) -> None:
        headers: Headers = list(self._start["headers"])
        if any(name == b"connection" and value == b"close" for name, value in headers):
            self.keep_alive = False
        else:
            # A client that still waits for leave to send its body may send it or not: nobody can
            # tell what its next bytes are.
            self.keep_alive = self.keep_alive and not (self.expects and self.more_body)
            if not self.keep_alive:
                headers.append((b"connection", b"close"))
            elif self.scope["http_version"] == "1.0":
                headers.append((b"connection", b"keep-alive"))
        start = head(self._start["status"], headers, self.scope["state"]["date"])
        if self.scope["method"] == "HEAD":
            body = b""
        if len(body) <= _COPIED:
            self._link.write(start + body)
        else:
            self._link.write(start)
            self._link.write(body)
        self.answered = True
        self._link.finished(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
