"""
Gateways: what the status of the routes says, in the words of routers. A pure module.

Without router pods the Gateway carries the weights. To the decision it is one router that has
confirmed what the Gateway has accepted, and finds healthy what is ready, both a moment later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from modeldeploy_operator.evidence.pods import Pod, ready_since
from modeldeploy_operator.manifests.entrance.gateway import GENERATION_ANNOTATION, GRPC, HTTP
from modeldeploy_operator.manifests.names import FIELD_MANAGER, Owner
from modeldeploy_operator.resource.spec import Traffic
from modeldeploy_operator.rollout.snapshot import Failure, Router, Snapshot

Manifest = Mapping[str, Any]
Key = tuple[str, str]
DELAY = timedelta(seconds=5)
"""How long after a route was written an accepted one is taken as effective, and how long after it
became ready a pod is taken as known: a Gateway says that it accepts a route, and not when its data
path follows."""
PATIENCE = timedelta(seconds=1)
"""How soon to look again at the earliest while a Gateway is waited for."""

ACCEPTED, PENDING, REFUSED = "RoutesAccepted", "RoutesPending", "RoutesRefused"
MISSING = Failure(
    "GatewayAPIMissing",
    "The cluster does not know HTTPRoute and GRPCRoute of gateway.networking.k8s.io/v1: install "
    "the Gateway API, or leave spec.traffic.gateway out.",
)


def carried(
    seen: Snapshot,
    owner: Owner,
    traffic: Traffic,
    found: tuple[Mapping[Key, Manifest], bool, Mapping[str, Iterable[Pod]]],
    now: datetime,
) -> Snapshot:
    """
    Add what the Gateways say to what was seen; without routers, in their place.

    Args:
        seen: What was seen of pods and routers.
        owner: The ModelDeployment.
        traffic: Whether there are Gateways, and who carries the weights.
        found: The objects that exist, whether the cluster knows routes at all, and the pods of each
            revision.
        now: The time of the pass.

    """
    if traffic.gateway is None:
        return seen
    children, known, pods = found
    routes = [children.get((kind, owner.name), {}) for kind in (HTTP, GRPC)]
    parents = len(traffic.gateway.parent_refs)
    refusal = next(filter(None, (_refusal(r, parents) for r in routes)), None) if known else MISSING
    seen = replace(seen, gateway=refusal or Failure(ACCEPTED, "Every Gateway has accepted them."))
    if traffic.routed:
        return seen
    seen = replace(seen, patience=PATIENCE)
    refused = refusal is not None and refusal.code != PENDING
    if refused or any(not _statuses(route) for route in routes):
        return replace(seen, routers=(), router_failure=refusal)
    generation = seen.generation if _confirms(routes, seen.generation, refusal, now) else -1
    up = {revision: _known(pods.get(revision, ()), now) for revision in seen.pools}
    return replace(seen, routers=(Router(generation, up),), router_failure=refusal)


def _known(pods: Iterable[Pod], now: datetime) -> int:
    """
    Count the pods that a Gateway has had the time to learn of.
    """
    times = filter(None, map(ready_since, pods))
    return sum(since + DELAY <= now for since in times)


def is_changing(
    owner: Owner, traffic: Traffic, children: Mapping[Key, Manifest], seen: Snapshot
) -> bool:
    """
    Tell whether another provider is wanted than the one that clients still come in by.

    The one goes when the other has confirmed the published configuration, and not before.
    """
    if traffic.gateway is None or seen.confirmed:
        return False
    if traffic.routed:
        return GENERATION_ANNOTATION in _annotations(children.get((HTTP, owner.name), {}))
    return ("Deployment", owner.router) in children


def _annotations(route: Manifest) -> Mapping[str, str]:
    found: Mapping[str, str] = route.get("metadata", {}).get("annotations", {})
    return found


def _confirms(
    routes: list[Manifest], generation: int, refusal: Failure | None, now: datetime
) -> bool:
    """
    Tell whether the published configuration was accepted, and long enough ago.
    """
    written = [
        _annotations(route).get(GENERATION_ANNOTATION) == str(generation) for route in routes
    ]
    return refusal is None and all(written) and all(_written(r) + DELAY <= now for r in routes)


def _statuses(route: Manifest) -> list[Manifest]:
    found: list[Manifest] = route.get("status", {}).get("parents", [])
    return found


def _refusal(route: Manifest, parents: int) -> Failure | None:
    """
    Say which Gateway has not accepted a route as it is written now, and why.
    """
    if not route:
        return Failure(PENDING, "The routes are not written yet.")
    kind = route["kind"]
    told = _statuses(route)
    if len(told) < parents:
        return Failure(
            PENDING,
            f"{len(told)} of {parents} Gateways have looked at the {kind}; see that each exists, "
            "has a listener for it, and that its controller runs.",
        )
    for parent in told:
        conditions = {c["type"]: c for c in parent.get("conditions", [])}
        name = parent.get("parentRef", {}).get("name", "")
        for wanted in ("Accepted", "ResolvedRefs"):
            condition = conditions.get(wanted, {})
            if condition.get("status") == "False":
                why = f"{condition.get('reason', '')}: {condition.get('message', '')}"
                return Failure(REFUSED, f"The Gateway {name} refuses the {kind}: {why}")
            if condition.get("observedGeneration", 0) < route["metadata"]["generation"]:
                message = f"The Gateway {name} has not looked at the latest {kind} yet."
                return Failure(PENDING, message)
    return None


def _written(route: Manifest) -> datetime:
    """
    Find when we changed a route last, by the API server's clock; a whole second later at most.
    """
    times = [
        datetime.fromisoformat(entry["time"])
        for entry in route["metadata"].get("managedFields", [])
        if entry["manager"] == FIELD_MANAGER and not entry.get("subresource")
    ]
    made = datetime.fromisoformat(route["metadata"]["creationTimestamp"])
    return max([made, *times]) + timedelta(seconds=1)
