"""Listens for REST, and at the end lets every connection finish what it has begun."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.transports.http.connection import Connection
from modeldeploy_runtime.transports.http.limits import Breach, HttpLimits
from modeldeploy_runtime.transports.http.listener import Listener

# How long clients may take to read the last answers after the drain's limit.
_LAST_ANSWERS = 1.0

_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOPROTOOPT})


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """
    How to listen; ``refused`` writes the bodies of refusals that never reach the application.

    Without a ``host`` all addresses are listened at.
    """

    limits: HttpLimits
    drain_timeout: float
    refused: Callable[[Breach], bytes]
    host: str = ""


class RestServer:
    """Listens on ports, plain or encrypted; to be used from the event loop's thread alone."""

    def __init__(
        self, app: Any, ports: Mapping[int, ssl.SSLContext | None], options: ServerOptions
    ) -> None:
        self._app = app
        self._options = options
        self._sockets = [(bind(port, options.host), tls) for port, tls in ports.items()]
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until ``stop`` has been called and all requests are answered or cut."""
        options = self._options
        loop = asyncio.get_running_loop()
        listener = Listener(self._app, options.limits, options.refused)
        servers = []
        for place, tls in self._sockets:
            patience = options.limits.headers_timeout if tls else None
            server = await loop.create_server(
                lambda: Connection(listener),
                sock=place,
                backlog=2048,
                ssl=tls,
                ssl_handshake_timeout=patience,
            )
            servers.append(server)
        watch = asyncio.create_task(listener.watch())
        await self._stopping.wait()
        for server in servers:
            server.close()
        for connection in listener.clients:
            connection.drain()
        if not await _in_time(listener.wait_empty(), options.drain_timeout):
            for connection in listener.clients:
                connection.cut()
            await _in_time(listener.wait_empty(), _LAST_ANSWERS)
        for connection in listener.clients:
            connection.abort()
        watch.cancel()

    def stop(self) -> None:
        """Close the listener and all idle connections, and let the others finish."""
        self._stopping.set()


async def _in_time(work: Any, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(work, seconds)
        return True
    return False


def bind(port: int, host: str = "") -> socket.socket:
    """Listen at one address, or at all, of IPv6 and IPv4 at once where the machine has both."""
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    try:
        return socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048
        )
    except OSError as error:
        if error.errno in _NO_IPV6:
            return socket.create_server(("0.0.0.0", port), backlog=2048)  # noqa: S104 - a server
        raise
