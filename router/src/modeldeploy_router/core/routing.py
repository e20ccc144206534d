"""
The routing configuration: what the operator wants, as it stands in `routing.json`.

This is where outside data enters: everything that a later room relies on is checked here.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

SLOTS = ("a", "b", "c", "d", "e", "f", "g", "h")
FULL_WEIGHT = 10_000


class RoutingError(ValueError):
    """
    A routing configuration that cannot be applied; the message is a sentence for the log.
    """


@dataclass(frozen=True, slots=True)
class Pool:
    """
    What a slot stands for.
    """

    revision: str
    service: str
    version: str


@dataclass(frozen=True, slots=True)
class Routing:
    """
    One generation of the routing configuration.

    `stable` is None while no revision serves; `canary` is None while none is tried, and `weight` is
    0 then.
    """

    generation: int
    model: str
    slots: dict[str, Pool]
    stable: str | None
    canary: str | None
    weight: int

    def check_path(self, slot: str) -> str:
        """
        Return the path whose answer says whether a server of the slot has its version available.
        """
        version = self.slots[slot].version
        return f"/v1/models/{quote(self.model, safe='')}/versions/{quote(version, safe='')}"


def parse_routing(text: str) -> Routing:
    """
    Read `routing.json`.

    Raises:
        RoutingError: if it is not what ARCHITECTURE.md describes.
    """
    try:
        routing = _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RoutingError(f"The routing configuration cannot be read: {error!r}.") from error
    _check(routing)
    return routing


def _read(document: dict[str, Any]) -> Routing:
    pools = {
        slot: Pool(str(pool["revision"]), str(pool["service"]), str(pool["version"]))
        for slot, pool in document["slots"].items()
    }
    roles = document["roles"]
    canary = roles.get("canary")
    return Routing(
        generation=int(document["generation"]),
        model=str(document["model"]),
        slots=pools,
        stable=roles.get("stable"),
        canary=canary,
        weight=int(document["weight"]) if canary else 0,
    )


def _check(routing: Routing) -> None:
    unknown = sorted(set(routing.slots) - set(SLOTS))
    if unknown:
        known = ", ".join(SLOTS)
        raise RoutingError(f"The slots {unknown} are not among those of this router: {known}.")
    for role in (routing.stable, routing.canary):
        if role is not None and role not in routing.slots:
            raise RoutingError(f"A role points at the slot {role!r}, which is not described.")
    if not 0 <= routing.weight <= FULL_WEIGHT:
        raise RoutingError(f"The weight {routing.weight} is not between 0 and {FULL_WEIGHT}.")
