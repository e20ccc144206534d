"""
One HTTP/1.1 connection: bytes to exchanges and back, within limits.

httptools, the parser of Node.js, decides what is HTTP, strictly: what a proxy in front of this
server might read in another way, such as both a length and chunks, is refused.  Requests that come
without waiting for answers are answered one after the other.  What must happen until when is one
deadline at a time, which the server compares with its clock: no timer is made for a request.
"""

import asyncio
import enum
import logging
from collections import deque
from typing import cast

import httptools

from modeldeploy_runtime.transports.rest import errors, limits
from modeldeploy_runtime.transports.rest.exchange import Exchange, Message, head
from modeldeploy_runtime.transports.rest.limits import Breach
from modeldeploy_runtime.transports.rest.listener import Listener

# So much of a stream is parsed at once: what follows waits until its requests are answered.
_SLICE = 8 * 1024
# So much of a body is kept for an application that does not read it yet.
_MOST_BUFFERED = 256 * 1024
# So much of a body that nobody reads is thrown away before the connection is given up.
_MOST_DISCARDED = 1024 * 1024
# How long a client that was refused has for reading why, while its bytes are thrown away.
_LINGER_SECONDS = 2.0

_NEVER = float("inf")

_log = logging.getLogger(__name__)


class _State(enum.Enum):
    OPEN = enum.auto()
    # The last answer is written, and the client's bytes are thrown away until it has gone.
    LINGERING = enum.auto()
    CLOSING = enum.auto()


class Connection(asyncio.Protocol):
    """To be used from the event loop's thread alone."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._limits = listener.limits
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._state = _State.OPEN
        self.deadline = _NEVER
        self._tasks: set[asyncio.Task[None]] = set()
        # The exchange that is being answered, those that wait for it, and the one whose body comes.
        self._active: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._incoming: Exchange | None = None
        self._breach: Breach | None = None
        self._unread = b""
        self._in_head = self._head_began = False
        self._is_upgrade = False
        self._half_closed = self._is_full = self._drains = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = self._received = self._announced = self._unsent = 0
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._listener.enter(self):
            self._refuse(limits.many_connections(self._limits))
        self._rearm()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell everybody that the client has gone."""
        self._state = _State.CLOSING
        for exchange in (self._active, self._incoming, *self._queue):
            if exchange is not None:
                exchange.lose()
        self._queue.clear()
        self._unread = b""
        self._listener.leave(self)

    def data_received(self, data: bytes) -> None:
        """Read."""
        if self._state is _State.OPEN:
            self._feed(self._unread + data if self._unread else data)

    def eof_received(self) -> bool:
        """Answer what is complete to a client that will send no more; else it has gone."""
        is_plain = self._transport.get_extra_info("sslcontext") is None
        is_waiting = self._active is not None and self._incoming is None
        self._half_closed = is_plain and is_waiting and self._state is _State.OPEN
        return self._half_closed

    def pause_writing(self) -> None:
        """Begin nothing new while the client does not read."""
        self._is_full = True
        self._rearm()

    def resume_writing(self) -> None:
        """Go on."""
        self._is_full = False
        self._rearm()
        self._next()

    # What an exchange asks for.

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    def want_body(self) -> None:
        """Go on reading."""
        self._transport.resume_reading()

    def finished(self, exchange: Exchange) -> None:
        """Begin the next exchange, or end."""
        self._active = None
        if self._state is not _State.OPEN:
            return
        is_last = self._half_closed and not self._queue and not self._unread
        if not exchange.keep_alive or self._drains or is_last:
            self._close()
        else:
            self._next()

    # What the listener asks for.

    def drain(self) -> None:
        """End after what has begun."""
        self._drains = True
        is_idle = self._active is None and self._incoming is None and not self._in_head
        if is_idle and not self._queue and self._state is _State.OPEN:
            self._close()

    def cut(self) -> None:
        """End now, but let the application write what it has to say."""
        for task in self._tasks:
            task.cancel()

    def abort(self) -> None:
        """End without a word."""
        self._transport.abort()

    def on_deadline(self) -> None:
        """Do what the deadline was set for."""
        if self._state is not _State.OPEN or self._is_full:
            left = self._transport.get_write_buffer_size()
            if self._is_full and left < self._unsent:
                self._rearm()
            else:
                self._transport.abort()
        elif self._incoming is not None:
            self._refuse(limits.slow_body(self._limits))
        elif self._in_head:
            self._refuse(limits.slow_headers(self._limits))
        else:
            self._close()

    # Reading.

    def _feed(self, data: bytes) -> None:
        """Parse as much as may be answered soon, and keep the rest."""
        rest = memoryview(data)
        self._unread = b""
        while rest and self._state is _State.OPEN and self._breach is None:
            if self._queue:
                self._unread = bytes(rest)
                self._transport.pause_reading()
                break
            size = max(_SLICE, self._announced)
            self._parse(rest[:size])
            rest = rest[size:]
        self._rearm()

    def _parse(self, data: memoryview) -> None:
        self._head_began = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(bytes(data[upgrade.args[0] :]))
        except httptools.HttpParserCallbackError:
            _log.exception("A request could not be taken.")
            self._transport.abort()
        except httptools.HttpParserError as error:
            self._refuse(self._breach or limits.malformed(str(error)))
        else:
            # What came with a head's beginning was counted as it was understood.
            if self._in_head and not self._head_began:
                self._count(len(data))
            if self._breach:
                self._refuse(self._breach)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read a request that offers another protocol as if it did not."""
        self._is_upgrade = False
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(Breach(405, "CONNECT is not possible: this server is no proxy."))
            return
        kept = [item for item in self._headers if item[0] not in {b"upgrade", b"connection"}]
        lines = [b"%s: %s\r\n" % item for item in kept]
        start = b"%s %s HTTP/1.1\r\n" % (method, self._url)
        self._parser = httptools.HttpRequestParser(self)
        self._parse(memoryview(b"".join((start, *lines, b"\r\n", rest))))

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.headers:
            self._breach = limits.long_headers(self._limits)

    def on_message_begin(self) -> None:
        """Parser: a request begins."""
        self._in_head = self._head_began = True
        self._url, self._headers, self._head_size = b"", [], 0
        self._since = self._listener.now()

    def on_url(self, url: bytes) -> None:
        """Parser: a piece of the path."""
        self._url += url
        if len(self._url) > self._limits.request_line:
            self._breach = limits.long_request_line(self._limits)

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """Parser: a header."""
        self._headers.append((name.lower(), value or b""))
        if self._head_began:
            self._count(len(name) + len(value or b"") + 4)

    def on_headers_complete(self) -> None:
        """Parser: the body, if any, comes next."""
        self._in_head = False
        if self._breach is not None:
            return
        if self._parser.should_upgrade():
            self._is_upgrade = True
            return
        names = dict(self._headers)
        self._announced = int(names.get(b"content-length", 0))
        self._received, self._since = 0, self._listener.now()
        exchange = Exchange(
            self,
            self._scope(),
            keep_alive=self._parser.should_keep_alive(),
            expects=names.get(b"expect", b"").lower() == b"100-continue",
        )
        self._incoming = exchange
        self._queue.append(exchange)
        self._next()

    def on_body(self, body: bytes) -> None:
        """Parser: a piece of the body."""
        exchange = self._incoming
        if exchange is None or self._is_upgrade:
            return
        self._received += len(body)
        self._announced = max(0, self._announced - len(body))
        if exchange.answered:
            if self._received > _MOST_DISCARDED:
                self._linger()
            return
        exchange.feed(body)
        if exchange.buffered > _MOST_BUFFERED:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Parser: the request is complete."""
        exchange, self._incoming, self._announced = self._incoming, None, 0
        if exchange is not None and not self._is_upgrade:
            exchange.end()
            if exchange.answered:
                self._next()

    def _scope(self) -> Message:
        url = self._url
        if not url.startswith(b"/"):
            # A proxy's client names the host, too.
            url = b"/" + url.partition(b"://")[2].partition(b"/")[2]
        path, _, query = url.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self._parser.get_http_version(),
            "method": self._parser.get_method().decode("ascii"),
            "scheme": self._listener.scheme,
            "path": path.decode("ascii", "replace"),
            "raw_path": path,
            "query_string": query.partition(b"#")[0],
            "headers": self._headers,
            "client": self._transport.get_extra_info("peername"),
            "state": self._listener.state,
        }

    # Answering.

    def _next(self) -> None:
        """Begin the next exchange, when the client has read and sent what comes before it."""
        if self._state is not _State.OPEN or self._active is not None or self._is_full:
            return
        if self._queue:
            self._active = self._queue.popleft()
            task = asyncio.create_task(self._run(self._active))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif self._breach is not None:
            self._refuse(self._breach)
            return
        if not self._queue and self._unread:
            asyncio.get_running_loop().call_soon(self._continue)
        elif not self._queue:
            self._transport.resume_reading()
        self._rearm()

    def _continue(self) -> None:
        if self._unread and self._state is _State.OPEN:
            self._feed(self._unread)

    async def _run(self, exchange: Exchange) -> None:
        await self._listener.app(exchange.scope, exchange.receive, exchange.send)
        if not exchange.answered and not exchange.gone:
            raise RuntimeError("The application has not answered.")

    def _refuse(self, breach: Breach) -> None:
        """Answer for the application, after what it still has to answer, and end."""
        self._breach = breach
        incoming, self._incoming = self._incoming, None
        if incoming is not None and incoming.answered:
            self._linger()
            return
        if incoming is not None:
            incoming.lose()
            if incoming is self._active:
                self._active = None
            else:
                self._queue.remove(incoming)
        if self._active is not None:
            return
        body = errors.body(breach.message)
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if breach.status == 503:
            headers.append((b"retry-after", b"1"))
        self.write(head(breach.status, headers, self._listener.state["date"]) + body)
        self._listener.refused(breach)
        self._linger()

    def _close(self) -> None:
        if self._incoming is not None or self._unread:
            self._linger()
        else:
            self._state = _State.CLOSING
            self._transport.close()
            self._rearm()

    def _linger(self) -> None:
        """Close, but not so hard that the client's system throws our last answer away."""
        if self._transport.is_closing():
            return
        self._state = _State.LINGERING
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        self._rearm()

    def _rearm(self) -> None:
        """Set the one deadline for what is waited for now."""
        now = self._listener.now()
        if self._state is _State.LINGERING:
            self.deadline = now + _LINGER_SECONDS
        elif self._is_full or self._state is _State.CLOSING:
            self._unsent = self._transport.get_write_buffer_size()
            self.deadline = now + self._limits.body_timeout
        elif self._incoming is not None and self._active in {None, self._incoming}:
            earned = self._received / limits.LEAST_BYTES_PER_SECOND
            self.deadline = self._since + self._limits.body_timeout + earned
        elif self._active is not None:
            self.deadline = _NEVER
        elif self._in_head:
            self.deadline = self._since + self._limits.headers_timeout
        else:
            self.deadline = now + self._limits.keep_alive_timeout
