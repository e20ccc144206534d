"""
Requests and failures per revision, computed from HAProxy's counters, which are per slot.

A slot changes its revision; so what HAProxy counted before the change is booked to the old one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from modeldeploy_router.core.config import FALLBACK
from modeldeploy_router.core.routing import SLOTS, Routing
from modeldeploy_router.core.servers import PROTOCOLS


@dataclass(frozen=True, slots=True)
class Count:
    """
    Attempts that were made, and those of them that failed.
    """

    requests: int = 0
    failures: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.requests + other.requests, self.failures + other.failures)

    def __sub__(self, other: "Count") -> "Count":
        return Count(self.requests - other.requests, self.failures - other.failures)


Key = tuple[str, str]
NOTHING = Count()


def over_protocols(counts: Mapping[Key, Count], name: str) -> Count:
    """
    Sum up what a slot or a revision has counted, whatever the protocol.
    """
    return sum((counts.get((name, protocol), NOTHING) for protocol in PROTOCOLS), NOTHING)


def count_slots(
    rows: Iterable[Mapping[str, str]], grpc_failures: Mapping[str, int]
) -> dict[Key, Count]:
    """
    Compute the attempts and failures by (slot, protocol).

    They come from `show stat` and from the table of gRPC failures.

    A request that was tried again is one more attempt and one more failure of the slot that failed
    it.
    What went on to stable through the fallback is stable's request, and not this slot's.
    """
    table = {(row["pxname"], row["svname"]): row for row in rows}
    counts = {}
    for slot in SLOTS:
        for protocol in PROTOCOLS:
            backend = f"{protocol}_{slot}"
            if (backend, "BACKEND") in table:
                whole, passed = table[backend, "BACKEND"], table[backend, FALLBACK]
                failed = grpc_failures.get(backend, 0)
                counts[slot, protocol] = _count(whole, passed, failed)
    return counts


def _count(whole: Mapping[str, str], passed: Mapping[str, str], grpc_failures: int) -> Count:
    again = _number(whole, "wretr") + _number(whole, "wredis")
    requests = _number(whole, "req_tot") - _number(passed, "req_tot") + again
    failures = (
        again
        + _number(whole, "hrsp_5xx")
        - _number(passed, "hrsp_5xx")
        + _number(whole, "srv_abrt")
        + grpc_failures
    )
    return Count(max(requests, 0), max(failures, 0))


def _number(row: Mapping[str, str], column: str) -> int:
    return int(row.get(column) or 0)


@dataclass(slots=True)
class Ledger:
    """
    The account of each revision; one object for the life of the router, under its owner's lock.

    `booked` is what revisions earned in slots that they have left, `opened` is where the slots'
    counters stood when their
    present revisions came.
    """

    owners: dict[str, str] = field(default_factory=dict)
    booked: dict[Key, Count] = field(default_factory=dict)
    opened: dict[Key, Count] = field(default_factory=dict)

    def change(self, routing: Routing, counts: Mapping[Key, Count]) -> None:
        """
        Book what the slots earned so far, wherever the routing gives them to other revisions.
        """
        for slot in SLOTS:
            pool = routing.slots.get(slot)
            revision = pool.revision if pool else ""
            owner = self.owners.get(slot, "")
            if revision != owner:
                self._close(slot, owner, counts)
                self.owners[slot] = revision

    def _close(self, slot: str, owner: str, counts: Mapping[Key, Count]) -> None:
        for protocol in PROTOCOLS:
            count = counts.get((slot, protocol), NOTHING)
            earned = count - self.opened.get((slot, protocol), NOTHING)
            if owner:
                key = (owner, protocol)
                self.booked[key] = self.booked.get(key, NOTHING) + earned
            self.opened[slot, protocol] = count

    def totals(self, counts: Mapping[Key, Count]) -> dict[Key, Count]:
        """
        Compute the totals since the router started, by (revision, protocol).
        """
        totals = dict(self.booked)
        for (slot, protocol), count in counts.items():
            owner = self.owners.get(slot)
            if owner:
                earned = count - self.opened.get((slot, protocol), NOTHING)
                totals[owner, protocol] = totals.get((owner, protocol), NOTHING) + earned
        return totals
