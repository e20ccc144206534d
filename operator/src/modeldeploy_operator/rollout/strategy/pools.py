"""
Pools: which of them are on their way out, and the routers' slots that they hold.
"""

from collections.abc import Iterable

from modeldeploy_operator.rollout.memory import Memory
from modeldeploy_operator.rollout.snapshot import Routing, Snapshot

SLOTS = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
"""The routers' slots: for stable and canary, and for standing and draining pools."""


def lingering(memory: Memory, seen: Snapshot) -> dict[str, int]:
    """
    Find the pools that no role names any more and that some router may still send to.

    A pool goes only after every ready router has confirmed a configuration in which it has no
    role: weight first, pods second.
    """
    named = {memory.stable.revision} if memory.stable else set()
    if memory.canary:
        named.add(memory.canary.revision.revision)
    return {
        revision: pool.desired
        for revision, pool in seen.pools.items()
        if revision not in named and not _released(revision, seen)
    }


def _released(revision: str, seen: Snapshot) -> bool:
    routing = seen.routing
    if routing is None:
        return True
    reached = {routing.stable, routing.canary, *routing.standing}
    return seen.confirmed and revision not in reached


def assign(revisions: Iterable[str], before: Routing | None) -> dict[str, str]:
    """
    Give every revision a slot; one that had a slot keeps it, so that no traffic is disturbed.

    Raises:
        ValueError: There are more revisions than slots.

    """
    wanted = list(dict.fromkeys(revisions))
    had = before.slots if before else {}
    kept = {slot: revision for slot, revision in had.items() if revision in wanted}
    free = [slot for slot in SLOTS if slot not in kept]
    new = [revision for revision in wanted if revision not in kept.values()]
    if len(new) > len(free):
        raise ValueError(f"{len(wanted)} pools do not fit the routers' {len(SLOTS)} slots.")
    return dict(sorted({**kept, **dict(zip(free, new, strict=False))}.items()))


def route(
    stable: str, canary: str | None, weight: int, others: Iterable[str], before: Routing | None
) -> Routing:
    """
    Build the whole routing configuration: both roles, and the pools that are on their way out.
    """
    named = [stable, *([canary] if canary else []), *others]
    return Routing(
        slots=assign(named, before), stable=stable, canary=canary, weight=weight if canary else 0
    )
