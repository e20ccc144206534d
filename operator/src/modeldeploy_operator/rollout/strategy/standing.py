"""
Standing pools: versions that are served for good beside stable and canary.

They are the versions that a user names (`alsoServe`) and the predecessors that were promoted once
(`keepVersions`). The decision about the rollout is made as if they were not there, and they are
added to it afterwards: so no strategy has to know them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modeldeploy_operator.rollout.decision import POLL_PODS, POLL_ROUTERS, Decision, Note, Wanted
from modeldeploy_operator.rollout.memory import Memory, Revision, Standing
from modeldeploy_operator.rollout.snapshot import Pool, Routing, Snapshot
from modeldeploy_operator.rollout.strategy import pools

_NONE = Pool(0, 0)


@dataclass(frozen=True, slots=True)
class _Served:
    """
    One standing version in this pass: who answers for it, and who is to.
    """

    standing: Standing
    answers: str
    is_ready: bool

    @property
    def revision(self) -> str:
        return self.standing.revision.revision


def _standing(wanted: Wanted, memory: Memory, seen: Snapshot) -> list[Standing]:
    """
    List the standing versions: what the user names, then the predecessors that nobody names.

    A predecessor goes to sleep with the deployment, and comes back while its record is kept.
    """
    named = {entry.revision.version for entry in wanted.also}
    if memory.stable:
        named.add(memory.stable.version)
    kept = [
        Standing(revision, wanted.replicas)
        for revision in memory.predecessors[: wanted.keep]
        if revision.version not in named and wanted.replicas and revision.revision in seen.kept
    ]
    return [*wanted.also, *kept]


def hide(goal: Revision, wanted: Wanted, memory: Memory, seen: Snapshot) -> Snapshot:
    """
    Return what was seen without the standing pools, unless the rollout is about one of them.
    """
    routing = seen.routing
    rejected = memory.rejected is not None and memory.rejected.revision == goal.revision
    own = set() if rejected or wanted.paused else {goal.revision}
    own |= {memory.stable.revision} if memory.stable else set()
    own |= {memory.canary.revision.revision} if memory.canary else set()
    hidden = {entry.revision.revision for entry in _standing(wanted, memory, seen)}
    if routing:
        own |= {routing.stable, routing.canary or ""}
        hidden |= routing.standing
        slots = {slot: name for slot, name in routing.slots.items() if name not in hidden - own}
        routing = Routing(slots, routing.stable, routing.canary, routing.weight)
    left = {name: pool for name, pool in seen.pools.items() if name not in hidden - own}
    # What else differs is not the rollout's business: its own configuration is in force.
    return replace(seen, pools=left, routing=routing)


def add(
    decision: Decision, wanted: Wanted, before: Memory, seen: Snapshot, now: datetime
) -> Decision:
    """
    Add the standing pools, their pins and their shares to what was decided about the rollout.
    """
    memory = _remember(decision.memory, before, wanted)
    served = [_serve(entry, seen) for entry in _standing(wanted, memory, seen)]
    sizes = dict(decision.pools)
    for one in served:
        entry = one.standing
        sizes[one.revision] = max(entry.replicas, decision.pools.get(one.revision, 0))
        if one.answers != one.revision:
            sizes.setdefault(one.answers, seen.pools[one.answers].desired)
    leaving = pools.lingering(memory, seen)
    sizes.update({name: size for name, size in leaving.items() if name not in sizes})
    routing = decision.routing and _route(decision.routing, served, leaving, wanted, seen)
    soon = _look_again(served, routing, seen)
    return replace(
        decision,
        memory=memory,
        pools=sizes,
        routing=routing,
        look_again_at=_sooner(decision.look_again_at, now + soon if soon else None),
        notes=(*decision.notes, *_notes(served, seen)),
    )


def _remember(memory: Memory, before: Memory, wanted: Wanted) -> Memory:
    """
    Keep the revision that was stable until now, and forget the oldest beyond what is to be kept.
    """
    found = list(memory.predecessors)
    if before.stable and memory.stable and before.stable != memory.stable:
        found.insert(0, before.stable)
    kept: dict[str, Revision] = {}
    for revision in found:
        if memory.stable is None or revision.version != memory.stable.version:
            kept.setdefault(revision.version, revision)
    return replace(memory, predecessors=tuple(kept.values())[: wanted.keep])


def _serve(entry: Standing, seen: Snapshot) -> _Served:
    """
    Find who answers for a version: its revision, or the one before until this one is ready.
    """
    revision = entry.revision.revision
    ready = min(seen.ready(revision), seen.up(revision))
    is_ready = ready >= entry.replicas
    before = seen.routing.versions.get(entry.revision.version, revision) if seen.routing else ""
    takes_over = is_ready or before == revision or not seen.ready(before)
    return _Served(entry, revision if takes_over else before, is_ready)


def _route(
    routing: Routing, served: list[_Served], leaving: Iterable[str], wanted: Wanted, seen: Snapshot
) -> Routing:
    """
    Add slots, pins and shares. A pool for which no slot is free waits until one is.
    """
    roles = [routing.stable, *([routing.canary] if routing.canary else [])]
    order = [*roles, *(one.answers for one in served), *(one.revision for one in served)]
    order += [*routing.slots.values(), *leaving]
    slots = pools.assign(list(dict.fromkeys(order))[: len(pools.SLOTS)], seen.routing)
    versions = {one.standing.revision.version: one.answers for one in served}
    labels = {label: one.answers for one in served for label in one.standing.labels}
    taken = {one.answers: _share(one, seen) for one in served if one.answers not in roles}
    shares = {name: share for name, share in taken.items() if share}
    return replace(
        routing, slots=slots, versions=versions, labels=labels, shares=shares, rules=wanted.rules
    )


def _share(one: _Served, seen: Snapshot) -> int:
    """
    Return the share that a pool may have: more only when all its pods are ready, none without one.
    """
    if one.is_ready:
        return one.standing.weight
    had = seen.routing.shares.get(one.answers, 0) if seen.routing else 0
    return min(had, one.standing.weight) if seen.ready(one.answers) else 0


def _look_again(served: list[_Served], routing: Routing | None, seen: Snapshot) -> timedelta | None:
    """
    Say how soon to look again for the sake of what is added here.
    """
    before = seen.routing
    added = (routing.versions, routing.labels, routing.shares, routing.rules) if routing else None
    had = (before.versions, before.labels, before.shares, before.rules) if before else None
    if added and (added != had if had else any(added[:3])):
        return POLL_ROUTERS
    if served and not seen.confirmed:
        return POLL_ROUTERS
    waits = [one for one in served if not one.is_ready]
    return POLL_PODS if any(not _is_lost(one, seen) for one in waits) else None


def _is_lost(one: _Served, seen: Snapshot) -> bool:
    failure = seen.pools.get(one.revision, _NONE).failure
    return failure is not None and failure.permanent


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


def _notes(served: list[_Served], seen: Snapshot) -> list[Note]:
    """
    Tell what keeps the pods of standing versions from being ready.
    """
    found = []
    for one in served:
        failure = seen.pools.get(one.revision, _NONE).failure
        if failure and not one.is_ready:
            said = f"Version {one.standing.revision.version}: {failure.message}"
            found.append(Note(failure.code, said, warning=True))
    return found
