"""
The routing configuration: what the operator wants, as it stands in `routing.json`.

This is where outside data enters: everything that a later room relies on is checked here.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

SLOTS = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
FULL_WEIGHT = 10_000
MOST_SHARES = 5
STABLE, CANARY = "stable", "canary"
FIRST_DERIVED = 1 << 62


class RoutingError(ValueError):
    """
    A routing configuration that cannot be applied; the message is a sentence for the log.
    """


@dataclass(frozen=True, slots=True)
class Pool:
    """
    What a slot stands for.

    `shared` says that its servers hold further versions, so that each request must name its own,
    and `is_secure` that they can be asked over encrypted connections.
    """

    revision: str
    service: str
    version: str
    shared: bool = False
    is_secure: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """
    A lasting rule: requests with all these headers go to a role.
    """

    headers: tuple[tuple[str, str], ...]
    to: str


@dataclass(frozen=True, slots=True)
class Routing:
    """
    One generation of the routing configuration.

    `stable` is None while no revision serves; `canary` is None while none is tried, and `weight` is
    0 then.
    `versions` and `labels` are the pins to other slots than those of the two roles, `shares` the
    lasting shares in ten-thousandths, `sticky` the kind and name of what a client is kept by.
    """

    generation: int
    model: str
    slots: dict[str, Pool]
    stable: str | None
    canary: str | None
    weight: int
    versions: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)
    match: tuple[Match, ...] = ()
    sticky: tuple[str, str] | None = None

    def pinned_versions(self) -> dict[str, str]:
        """
        Return the slot of each version that may be asked for; stable's goes before others.

        A version whose name is no number has one too, for messages that carry nothing else.
        """
        named = self._named()
        return {derived_number(name): named[name] for name in named if not _is_number(name)} | named

    def _named(self) -> dict[str, str]:
        pins = {_plain(version): slot for version, slot in self.versions.items()}
        for slot in (self.canary, self.stable):
            if slot is not None:
                pins[_plain(self.slots[slot].version)] = slot
        return pins

    def pinned_labels(self) -> dict[str, str]:
        """
        Return the slot of each label that may be asked for; the roles' names mean the roles.

        The name of a version that is no number is a label, too.
        """
        names = {name: slot for name, slot in self._named().items() if not _is_number(name)}
        roles = {STABLE: self.stable, CANARY: self.canary}
        kept = {label: slot for label, slot in self.labels.items() if label not in roles}
        return names | kept | {label: slot for label, slot in roles.items() if slot is not None}

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
        slot: Pool(
            str(pool["revision"]),
            str(pool["service"]),
            str(pool["version"]),
            bool(pool.get("shared")),
            bool(pool.get("tls")),
        )
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
        versions=dict(document.get("pins", {}).get("versions", {})),
        labels=dict(document.get("pins", {}).get("labels", {})),
        shares={slot: int(share) for slot, share in document.get("shares", {}).items()},
        match=tuple(
            Match(tuple(sorted(rule["headers"].items())), str(rule["to"]))
            for rule in document.get("match", [])
        ),
        sticky=_sticky(document.get("sticky", {})),
    )


def _sticky(document: dict[str, str]) -> tuple[str, str] | None:
    for kind in ("header", "cookie"):
        if kind in document:
            return kind, document[kind]
    return None


def _plain(version: str) -> str:
    """
    Leave out leading zeros, as a number in a message has none.

    >>> _plain("007"), _plain("0"), _plain("2024-11-05")
    ('7', '0', '2024-11-05')
    """
    return str(int(version)) if _is_number(version) else version


def _is_number(version: str) -> bool:
    return version.isascii() and version.isdecimal()


def derived_number(version: str) -> str:
    """
    Return the number that stands for a version whose name is none, as the runtime reckons it.

    >>> derived_number("2024-11-05T10-00")
    '5656689877235480175'
    """
    digest = hashlib.sha256(version.encode()).digest()
    return str(FIRST_DERIVED + int.from_bytes(digest[:8], "big") % FIRST_DERIVED)


def _check(routing: Routing) -> None:
    unknown = sorted(set(routing.slots) - set(SLOTS))
    if unknown:
        known = ", ".join(SLOTS)
        raise RoutingError(f"The slots {unknown} are not among those of this router: {known}.")
    for role in (routing.stable, routing.canary):
        if role is not None and role not in routing.slots:
            raise RoutingError(f"A role points at the slot {role!r}, which is not described.")
    for slot in (*routing.versions.values(), *routing.labels.values(), *routing.shares):
        if slot not in routing.slots:
            raise RoutingError(
                f"A pin or share points at the slot {slot!r}, which is not described."
            )
    if len(routing.shares) > MOST_SHARES or not _is_whole(routing.shares.values()):
        raise RoutingError(
            f"The lasting shares {routing.shares} must be at most {MOST_SHARES}, positive, and "
            f"at most {FULL_WEIGHT} together."
        )
    if not 0 <= routing.weight <= FULL_WEIGHT:
        raise RoutingError(f"The weight {routing.weight} is not between 0 and {FULL_WEIGHT}.")


def _is_whole(shares: Collection[int]) -> bool:
    return all(share > 0 for share in shares) and sum(shares) <= FULL_WEIGHT
