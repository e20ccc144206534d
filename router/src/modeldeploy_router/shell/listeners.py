"""
The listening sockets: opened by the agent, used by HAProxy, held by the keeper.

HAProxy inherits them.  When it dies the agent still has them, and when the whole container dies the
keeper has; a client that connects meanwhile waits in the kernel's queue.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from modeldeploy_router.core.servers import PROTOCOLS
from modeldeploy_router.keeper import KEEP, MOST_SOCKETS, TAKE, send

log = logging.getLogger(__name__)

BACKLOG = 4096
KEEPER_SECONDS = 5.0
PAUSE_SECONDS = 0.1
WARNING_SECONDS = 60.0


class ListenError(RuntimeError):
    """
    A port that cannot be listened on.
    """


class Listeners:
    """
    The sockets of this router, one for each protocol.
    """

    def __init__(self, address: str, ports: Mapping[str, int], keeper: Path | None) -> None:
        self._place = (address, ports)
        self._keeper = keeper
        self._sockets: dict[str, socket.socket] = {}
        self._closed = threading.Event()

    @property
    def numbers(self) -> dict[str, int]:
        """
        Return the file descriptors by protocol.
        """
        return {protocol: found.fileno() for protocol, found in self._sockets.items()}

    def open(self) -> bool:
        """
        Take the sockets from the keeper, or open them where it has none.

        Returns:
            whether they were open before, so that clients may be waiting on them.

        Raises:
            ListenError: if a port is taken.
        """
        connection = self._reach(KEEPER_SECONDS) if self._keeper else None
        kept = _take(connection) if connection else []
        if kept:
            self._sockets = dict(zip(PROTOCOLS, kept, strict=True))
        else:
            address, ports = self._place
            self._sockets = {name: _listen(address, ports[name]) for name in PROTOCOLS}
        if self._keeper:
            arguments = (connection,)
            threading.Thread(target=self._keep, args=arguments, name="keep", daemon=True).start()
        return bool(kept)

    def close(self) -> None:
        """
        Let go of the sockets: HAProxy alone decides now how long it listens.
        """
        self._closed.set()
        for found in self._sockets.values():
            found.close()

    def _keep(self, connection: socket.socket | None) -> None:
        """
        Give the sockets to the keeper, and again to each keeper that comes after it.
        """
        while not self._closed.is_set():
            connection = connection or self._reach(KEEPER_SECONDS)
            if connection is None:
                log.warning("The keeper does not answer; a killed router would refuse clients.")
                self._closed.wait(WARNING_SECONDS)
                continue
            with connection, contextlib.suppress(OSError):
                send(connection, KEEP, list(self.numbers.values()))
                connection.recv(1)
            connection = None

    def _reach(self, seconds: float) -> socket.socket | None:
        end = time.monotonic() + seconds
        while not self._closed.is_set():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                connection.connect(str(self._keeper))
            except OSError:
                connection.close()
                if time.monotonic() > end:
                    break
                self._closed.wait(PAUSE_SECONDS)
            else:
                return connection
        return None


def _take(keeper: socket.socket) -> list[socket.socket]:
    try:
        keeper.settimeout(KEEPER_SECONDS)
        keeper.send(TAKE)
        _, numbers, _, _ = socket.recv_fds(keeper, 8, MOST_SOCKETS)
        keeper.settimeout(None)
    except OSError as error:
        log.warning("The keeper cannot be asked for the sockets: %s.", error)
        return []
    return [socket.socket(fileno=number) for number in numbers]


def _listen(address: str, port: int) -> socket.socket:
    """
    Open one listening socket; `::` means all addresses of both families.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        raise ListenError(f"Port {port} of {address} cannot be listened on: {error}.") from error
    listener.listen(BACKLOG)
    return listener
