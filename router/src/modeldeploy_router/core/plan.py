"""
The decision: from what is wanted and what HAProxy has, the runtime commands that close the gap.

It is level-triggered: the whole wanted state goes in, and the commands of one pass come out.
What a command did is never assumed; the next pass looks again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

from modeldeploy_router.core.choice import map_entries
from modeldeploy_router.core.routing import SLOTS, Routing
from modeldeploy_router.core.seen import Seen, Server
from modeldeploy_router.core.servers import (
    KINDS,
    PROTOCOLS,
    Trust,
    backend_name,
    server_arguments,
    server_name,
)

# So long may a leaving server stay while the ones that replace it have not passed a check.
HANDOVER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What to do now.

    `entries` is the routing map to put in place, None if it is in place already; `commands` follow
    it, in order.
    `leaving` remembers since when a server is no longer wanted, by (backend, name); it goes into
    the next pass.
    `awaits_checks` says that servers have yet to answer their first check, `lingers` that some have
    yet to go.
    """

    entries: dict[str, str] | None
    commands: tuple[str, ...]
    leaving: dict[tuple[str, str], float]
    awaits_checks: bool

    @property
    def lingers(self) -> bool:
        """
        Return whether servers that are no longer wanted are still there.
        """
        return bool(self.leaving)


def decide(
    routing: Routing,
    used: Mapping[str, frozenset[str]],
    seen: Seen,
    leaving: Mapping[tuple[str, str], float],
    now: float,
    trust: Trust | None = None,
) -> Plan:
    """
    Compute what to do now.

    Args:
        routing: the wanted routing.
        used: the addresses that get traffic, by slot; a slot that it lacks is left alone.
        seen: what HAProxy has.
        leaving: the `leaving` of the pass before.
        now: a clock that only goes forward, in seconds.
        trust: how servers are known that encrypt; None where none is asked to.
    """
    arrivals: list[str] = []
    departures: list[str] = []
    still: dict[tuple[str, str], float] = {}
    awaits = False
    secure = secure_slots(routing, trust)
    for slot, protocol, kind in product(SLOTS, PROTOCOLS, KINDS):
        if slot in routing.slots and slot not in used:
            continue
        backend = backend_name(protocol, slot, kind)
        known = trust if slot in secure else None
        name = partial(server_name, is_secure=known is not None)
        wanted = {name(a): a for a in used[slot]} if slot in routing.slots else {}
        present = seen.servers.get(backend, {})
        ages = {n: now - leaving.get((backend, n), now) for n in set(present) - set(wanted)}
        still.update({(backend, name): now - age for name, age in ages.items()})
        arrivals += _arrive(backend, (protocol, kind, known), wanted, present)
        departures += _depart(backend, wanted, present, ages)
        awaits = awaits or any(n not in present or not present[n].checked for n in wanted)
    entries = map_entries(routing)
    return Plan(
        entries=entries if entries != seen.entries else None,
        commands=(*arrivals, *departures),
        leaving=still,
        awaits_checks=awaits,
    )


def secure_slots(routing: Routing, trust: Trust | None) -> frozenset[str]:
    """
    Return the slots whose servers are asked over encrypted connections.
    """
    if trust is None:
        return frozenset()
    return frozenset(slot for slot, pool in routing.slots.items() if pool.is_secure)


def _arrive(
    backend: str,
    how: tuple[str, str, Trust | None],
    wanted: Mapping[str, str],
    present: Mapping[str, Server],
) -> list[str]:
    """
    Bring in what is wanted: a new server, or one that was taken out and has come back.

    Leaving maintenance makes HAProxy call a server up before its first check; `health down` takes
    that back at once.
    """
    commands = []
    for name, address in sorted(wanted.items()):
        server = f"{backend}/{name}"
        rouse = f"set server {server} state ready; set server {server} health down"
        if name not in present:
            protocol, kind, trust = how
            arguments = server_arguments(protocol, address, kind, trust)
            commands.append(f"add server {server} {arguments}; enable health {server}; {rouse}")
        elif present[name].out:
            commands.append(rouse)
    return commands


def _depart(
    backend: str,
    wanted: Mapping[str, str],
    present: Mapping[str, Server],
    ages: Mapping[str, float],
) -> list[str]:
    """
    Take out what is no longer wanted, and delete what is out.

    `ages` says for how long each server has been unwanted.

    A server that is out gets no new request and finishes those in flight; HAProxy refuses to delete
    it before.
    While none of the wanted servers is up yet, a leaving one that is up stays for a moment: a pod
    that is replaced in one
    step of the cluster must not leave a gap.
    """
    commands = []
    replaced = not wanted or any(name in present and present[name].up for name in wanted)
    for name, age in sorted(ages.items()):
        server = present[name]
        if server.out:
            commands.append(f"del server {backend}/{name}")
        elif replaced or not server.up or age >= HANDOVER_SECONDS:
            commands.append(f"set server {backend}/{name} state maint")
    return commands
