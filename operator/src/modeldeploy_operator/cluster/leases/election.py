"""
Who leads: a decision about a Lease, from what was read and by our own clock. A pure module.

Times in a Lease were written by another machine, whose clock may be wrong. So nobody compares them
with a clock: a lease has run out when it did not change for its whole length while we looked.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from modeldeploy_operator.cluster.port import Manifest


class Move(Enum):
    """
    What to do about the lease.
    """

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Sight:
    """
    A lease as it was last seen to change.

    Attributes:
        mark: What changes with each renewal: its resource version.
        since: When it was first seen like this, by our own clock.
    """

    mark: str = ""
    since: float = 0.0


def see(before: Sight, lease: Manifest | None, now: float) -> Sight:
    """
    Remember since when a lease has stood as it stands.
    """
    mark = lease["metadata"]["resourceVersion"] if lease else ""
    return before if before.mark == mark else Sight(mark, now)


def choose(me: str, lease: Manifest | None, sight: Sight, now: float) -> Move:
    """
    Choose what to do about a lease.
    """
    if lease is None:
        return Move.CREATE
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity") or ""
    if holder == me:
        return Move.RENEW
    if not holder or now - sight.since >= spec.get("leaseDurationSeconds", 0):
        return Move.TAKE
    return Move.WAIT


def write(me: str, lease: Manifest | None, move: Move, *, stamp: str, seconds: int) -> Manifest:
    """
    Build the lease to write; it carries the version that was read, so that one of two wins.
    """
    body: dict[str, Any] = lease or {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    spec = dict(body.get("spec") or {})
    if move is not Move.RENEW:
        changes = spec.get("leaseTransitions", 0) + (1 if move is Move.TAKE else 0)
        spec |= {"holderIdentity": me, "acquireTime": stamp, "leaseTransitions": changes}
    spec |= {"renewTime": stamp, "leaseDurationSeconds": seconds}
    return {**body, "spec": spec}


def release(lease: Manifest, *, stamp: str) -> Manifest:
    """
    Build the lease of somebody who goes, so that the next one need not wait.
    """
    return {**lease, "spec": {**lease["spec"], "holderIdentity": "", "renewTime": stamp}}
