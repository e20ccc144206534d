"""
What the router knows of the cluster: the newest routing, and the addresses of each slot's pool.

The Kubernetes API is the source; before it has answered for the first time, a mounted file and DNS
stand in for it.
Once the API has answered it is believed for good: losing it later changes nothing.
"""

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from modeldeploy_router.core.endpoints import Addresses, addresses_of
from modeldeploy_router.core.routing import Pool, Routing, RoutingError, parse_routing
from modeldeploy_router.shell.kube import Objects

log = logging.getLogger(__name__)

ROUTING_KEY = "routing.json"


@dataclass(frozen=True, slots=True)
class Known:
    """
    One moment's knowledge; a slot that `pools` lacks is one whose endpoints nobody has told of yet.
    """

    routing: Routing | None = None
    pools: dict[str, Addresses] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """
        Return whether requests can be routed by it: the pools that it sends them to are known.
        """
        routing = self.routing
        roles = (routing.stable, routing.canary) if routing else ()
        return routing is not None and all(role in self.pools for role in roles if role)


class Knowledge:
    """
    Collects what the watches, the file and DNS tell, and wakes the loop when it changes.

    Its methods may be called from any thread.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._routing: Routing | None = None
        self._routing_from_api = False
        self._slices: Objects | None = None
        self._resolved: dict[str, Addresses] = {}
        self._said = ""

    @property
    def is_from_api(self) -> bool:
        """
        Return whether the API server has told of both routing and endpoints.
        """
        return self._routing_from_api and self._slices is not None

    def hear_config_maps(self, objects: Objects) -> None:
        """
        Take in the routing ConfigMap; one that is gone or unreadable changes nothing.
        """
        for item in objects.values():
            text = (item.get("data") or {}).get(ROUTING_KEY)
            if text is not None:
                self._hear_routing(text, from_api=True)

    def hear_slices(self, objects: Objects) -> None:
        """
        Take in all EndpointSlices.
        """
        with self._lock:
            self._slices = objects
        self._wake()

    def read_file(self, path: Path) -> None:
        """
        Take in the mounted file, unless the API server has told something newer.
        """
        if self._routing_from_api:
            return
        try:
            self._hear_routing(path.read_text(), from_api=False)
        except OSError as error:
            self._say_once(f"The mounted routing configuration cannot be read: {error}.")

    def resolve(self, name_of: Callable[[Pool], str]) -> None:
        """
        Take in what DNS says of each pool, unless the API server has told of everything.

        A name that DNS does not know is a pool with no endpoint; a DNS that does not answer changes
        nothing.
        """
        routing = self._routing
        if routing is None or self.is_from_api:
            return
        for pool in routing.slots.values():
            try:
                found = frozenset(_look_up(name_of(pool)))
            except OSError as error:
                self._say_once(f"The endpoints of {pool.service} are not known: {error}.")
                continue
            with self._lock:
                self._resolved[pool.service] = Addresses(ready=found, used=found)
        self._wake()

    def now(self) -> Known:
        """
        Return the present knowledge.
        """
        with self._lock:
            # Slices go with the API server's routing: the file may name pools of another day.
            slices = self._slices if self._routing_from_api else None
            routing, resolved = self._routing, dict(self._resolved)
        if routing is None:
            return Known()
        if slices is not None:
            items = list(slices.values())
            pools = {s: addresses_of(pool.service, items) for s, pool in routing.slots.items()}
            return Known(routing, pools)
        slots = routing.slots.items()
        return Known(routing, {s: resolved[p.service] for s, p in slots if p.service in resolved})

    def _say_once(self, sentence: str) -> None:
        if sentence != self._said:
            log.warning("%s", sentence)
            self._said = sentence

    def _hear_routing(self, text: str, *, from_api: bool) -> None:
        try:
            routing = parse_routing(text)
        except RoutingError as error:
            log.error("%s The last one stays in force.", error)  # noqa: TRY400  the sentence says it
            return
        with self._lock:
            if self._routing_from_api and not from_api:
                return
            self._routing = routing
            self._routing_from_api = from_api
        self._wake()


def _look_up(name: str) -> set[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return set()
        raise
    families = {entry[0] for entry in found}
    family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
    return {str(entry[4][0]) for entry in found if entry[0] == family}
