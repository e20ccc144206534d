"""Runs the REST application in uvicorn, which leaves signals and logs to us."""

import contextlib
import errno
import math
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

# Longer than the pools of usual proxies keep connections, so that they close first.
KEEP_ALIVE_SECONDS = 75

_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENOPROTOOPT})


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program."""
        yield


class RestServer:
    """Listens on one port; to be used from the event loop's thread alone."""

    def __init__(self, app: Any, port: int, drain_timeout: float) -> None:
        self._socket = bind(port)
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=math.ceil(drain_timeout),
            )
        )

    async def run(self) -> None:
        """Serve until ``stop`` has been called and all requests are answered or cut."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Close the listener and all idle connections, and let the others finish."""
        self._server.should_exit = True


def bind(port: int) -> socket.socket:
    """Listen on all addresses, of IPv6 and IPv4 at once where the machine has both."""
    try:
        return socket.create_server(
            ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048
        )
    except OSError as error:
        if error.errno in _NO_IPV6:
            return socket.create_server(("0.0.0.0", port), backlog=2048)  # noqa: S104 - a server
        raise
