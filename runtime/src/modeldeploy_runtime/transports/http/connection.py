"""
One HTTP/1.1 connection: bytes to exchanges and back, within limits.

Requests that come without waiting for answers are answered one after the other.  What must happen
until when is one deadline at a time, which the listener compares with its clock: no timer is made
for a request.
"""

import asyncio
import enum
import logging
from collections import deque
from typing import Any, cast

from modeldeploy_runtime.transports.http import limits
from modeldeploy_runtime.transports.http.exchange import Exchange, refusal
from modeldeploy_runtime.transports.http.limits import Breach
from modeldeploy_runtime.transports.http.listener import Listener
from modeldeploy_runtime.transports.http.reader import Head, Reader

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
        self._peer: Any = None
        self._is_secure = False
        self._reader = Reader(self, self._limits, listener.now)
        self._state = _State.OPEN
        self.deadline = _NEVER
        self._tasks: set[asyncio.Task[None]] = set()
        # The exchange that is being answered, those that wait for it, and the one whose body comes.
        self._active: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._incoming: Exchange | None = None
        self._breach: Breach | None = None
        self._unread = b""
        self._half_closed = self._is_full = self._drains = False
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = transport.get_extra_info("peername")
        self._is_secure = transport.get_extra_info("sslcontext") is not None
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
        self._drop_waiting()
        is_waiting = self._active is not None and self._incoming is None
        is_open = self._state is _State.OPEN
        self._half_closed = is_waiting and is_open and not self._is_secure
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
        must_end = not exchange.keep_alive or self._drains or is_last
        self._close() if must_end else self._next()

    # What the listener asks for.

    def drain(self) -> None:
        """End after what has begun."""
        self._drains = True
        is_idle = self._active is None and self._incoming is None and not self._reader.in_head
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
        elif self._reader.in_head:
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
            size = max(_SLICE, self._reader.announced)
            breach = self._reader.feed(rest[:size])
            rest = rest[size:]
            if breach is not None:
                self._refuse(breach)
        self._rearm()

    def on_request(self, head: Head) -> None:
        """Begin an exchange, or let it wait for its turn."""
        scope = self._listener.scope(head, self._peer, is_secure=self._is_secure)
        self._incoming = Exchange(self, scope, keep_alive=head.keep_alive)
        self._queue.append(self._incoming)
        self._next()

    def on_piece(self, body: bytes) -> None:
        """Hand a piece of the body to its exchange, or throw it away after the answer."""
        exchange = self._incoming
        if exchange is None:
            return
        if exchange.answered:
            if self._reader.received > _MOST_DISCARDED:
                self._linger()
            return
        exchange.feed(body)
        if exchange.buffered > _MOST_BUFFERED:
            self._transport.pause_reading()

    def on_end(self) -> None:
        """Note that a body is complete."""
        exchange, self._incoming = self._incoming, None
        if exchange is not None:
            exchange.end()
            if exchange.answered:
                self._next()

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
        try:
            await self._listener.app(exchange.scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001 - whatever it is, the client must not wait for ever
            _log.exception("A request was not answered.")
            self._transport.abort()

    def _refuse(self, breach: Breach) -> None:
        """Answer for the application, after what it still has to answer, and end."""
        self._breach = breach
        self._drop_waiting()
        incoming, self._incoming = self._incoming, None
        if incoming is not None and incoming.answered:
            self._linger()
            return
        if incoming is not None:
            incoming.lose()
            self._active = None
        if self._active is not None:
            return
        body = self._listener.refused(breach)
        self.write(refusal(breach, body, self._listener.state["date"]))
        self._linger()

    def _drop_waiting(self) -> None:
        """Forget a request that waits for its turn and will never be complete."""
        if self._incoming is not None and self._incoming in self._queue:
            self._queue.remove(self._incoming)
            self._incoming = None

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
            earned = self._reader.received / limits.LEAST_BYTES_PER_SECOND
            self.deadline = self._reader.since + self._limits.body_timeout + earned
        elif self._active is not None:
            self.deadline = _NEVER
        elif self._reader.in_head:
            self.deadline = self._reader.since + self._limits.headers_timeout
        else:
            self.deadline = now + self._limits.keep_alive_timeout
