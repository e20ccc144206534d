"""What the connections of one port share: the application, the limits, the clock, their number."""

import asyncio
import email.utils
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from modeldeploy_runtime.transports.http.exchange import Message
from modeldeploy_runtime.transports.http.limits import Breach, HttpLimits
from modeldeploy_runtime.transports.http.reader import Head

# How often the deadlines of the connections are looked at, in seconds.
TICK = 0.1


class Client(Protocol):
    """What a listener knows of a connection."""

    deadline: float

    def on_deadline(self) -> None:
        """Do what the deadline was set for."""

    def drain(self) -> None:
        """End after what has begun."""

    def cut(self) -> None:
        """End now, but let the application write what it has to say."""

    def abort(self) -> None:
        """End without a word."""


class Listener:
    """To be used from the event loop's thread alone."""

    def __init__(self, app: Any, limits: HttpLimits, refused: Callable[[Breach], bytes]) -> None:
        self.app = app
        self.limits = limits
        self.refused = refused
        self.state: dict[str, bytes] = {"date": _date()}
        self.now = asyncio.get_running_loop().time
        self._clients: set[Client] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def clients(self) -> Iterable[Client]:
        """The connections that are open now."""
        return tuple(self._clients)

    def enter(self, client: Client) -> bool:
        """Count a connection, and tell whether there is a place for it."""
        has_place = len(self._clients) < self.limits.connections
        self._clients.add(client)
        self._is_empty.clear()
        return has_place

    def leave(self, client: Client) -> None:
        """Count a connection no longer."""
        self._clients.discard(client)
        if not self._clients:
            self._is_empty.set()

    def scope(self, head: Head, peer: Any, *, is_secure: bool) -> Message:
        """Describe a request as ASGI does."""
        path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method,
            "scheme": "https" if is_secure else "http",
            "path": path.decode("ascii", "replace"),
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
            "client": peer,
            "state": self.state,
        }

    async def wait_empty(self) -> None:
        """Wait until no connection is open."""
        await self._is_empty.wait()

    async def watch(self) -> None:
        """Call every connection whose deadline has passed, for ever."""
        while True:
            await asyncio.sleep(TICK)
            self.state["date"] = _date()
            now = self.now()
            for client in self.clients:
                if client.deadline < now:
                    client.on_deadline()


def _date() -> bytes:
    return email.utils.formatdate(time.time(), usegmt=True).encode()
