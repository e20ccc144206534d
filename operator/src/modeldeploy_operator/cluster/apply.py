"""
Applying a plan: only what differs is written, and what the plan leaves out is removed.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy_operator.cluster.port import (
    ConflictError,
    GoneError,
    Kube,
    Manifest,
    RefusedError,
    Resource,
)
from modeldeploy_operator.manifests.names import Owner

RESOURCES = (
    Resource("v1", "ConfigMap", "configmaps"),
    Resource("apps/v1", "ControllerRevision", "controllerrevisions"),
    Resource("v1", "Service", "services"),
    Resource("apps/v1", "Deployment", "deployments"),
    Resource("v1", "ServiceAccount", "serviceaccounts"),
    Resource("rbac.authorization.k8s.io/v1", "Role", "roles"),
    Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Resource("batch/v1", "Job", "jobs"),
    Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
)
"""Every kind that the operator makes in any cluster."""

PODS = Resource("v1", "Pod", "pods")

ONCE = frozenset({"Job"})
"""Kinds whose objects are made and removed, and never changed: the API server allows no more."""

ROUTES = (
    Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes"),
    Resource("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes"),
)
"""Those that only a cluster with the Gateway API knows."""

BY_KIND = {resource.kind: resource for resource in (*RESOURCES, *ROUTES)}

Key = tuple[str, str]
"""Kind and name of an object in the owner's namespace."""


def key_of(manifest: Mapping[str, Any]) -> Key:
    """
    Return the kind and the name of an object.
    """
    return manifest["kind"], manifest["metadata"]["name"]


def contains(live: Any, wanted: Any) -> bool:
    """
    Tell whether everything that is wanted is there; what the server added does not count.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return False
        return all(contains(live.get(name), value) for name, value in wanted.items() if value != {})
    if isinstance(wanted, list):
        if not isinstance(live, list) or len(live) != len(wanted):
            return not wanted and live is None
        return all(contains(a, b) for a, b in zip(live, wanted, strict=True))
    return bool(live == wanted)


class Applier:
    """
    Carries plans out. It remembers what it wrote, only to save requests.
    """

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._refused: dict[tuple[str, str], str] = {}
        self._written: dict[tuple[str, str, Key], tuple[str, Any]] = {}

    async def apply(
        self, owner: Owner, plan: Iterable[Manifest], children: Mapping[Key, Manifest]
    ) -> int:
        """
        Make the cluster equal to the plan, in the plan's order; removals come last.

        An object that is refused does not keep the others from being applied.

        Returns:
            How many requests changed something.

        Raises:
            ConflictError: Another operator has written the routing since it was seen.
            RefusedError: The API server will not have one of the objects.
            ClusterError: The API server could not be reached, or failed.

        """
        wanted = {key_of(manifest): manifest for manifest in plan}
        writes = 0
        refusals: list[str] = []
        for key, manifest in wanted.items():
            live = children.get(key)
            if live is not None and (
                key[0] in ONCE or not self._differs(owner, key, manifest, live)
            ):
                continue
            try:
                await self._write(owner, key, manifest, live)
            except RefusedError as error:
                refusals.append(str(error))
            writes += 1
        for key in set(children) - set(wanted):
            await self._remove(owner, key)
            writes += 1
        self._refused.pop((owner.namespace, owner.name), None)
        if refusals:
            self._refused[(owner.namespace, owner.name)] = refusals[0]
            raise RefusedError(refusals[0])
        return writes

    async def mark(self, owner: Owner, pods: Iterable[Manifest]) -> None:
        """
        Annotate pods, each of which may be gone by now.

        Raises:
            ClusterError: The API server could not be reached, or failed.

        """
        for manifest in pods:
            path = PODS.path(owner.namespace, manifest["metadata"]["name"])
            with contextlib.suppress(ConflictError, GoneError, RefusedError):
                await self._kube.apply(path, manifest)

    def refusal(self, owner: Owner) -> str | None:
        """
        Return what the API server said at the last apply, if it would not have an object.
        """
        return self._refused.get((owner.namespace, owner.name))

    async def find_taken(
        self, owner: Owner, plan: Iterable[Manifest], children: Mapping[Key, Manifest]
    ) -> str | None:
        """
        Say which planned name is held by an object that is not ours, or return None.

        Raises:
            ConflictError: It belongs to an object of the owner's name that was deleted just now.
            ClusterError: The API server refused or could not be reached.

        """
        for manifest in plan:
            key = key_of(manifest)
            if key not in children and await self._is_foreign(owner, key):
                return (
                    f"A {key[0]} named {key[1]} exists in namespace {owner.namespace} and was not "
                    "made for this ModelDeployment; rename one of the two."
                )
        return None

    def forget(self, namespace: str, name: str) -> None:
        """
        Forget what was written for an owner that is gone.
        """
        gone = (namespace, name)
        self._refused.pop(gone, None)
        self._written = {key: value for key, value in self._written.items() if key[:2] != gone}

    def _differs(self, owner: Owner, key: Key, manifest: Manifest, live: Manifest) -> bool:
        """
        Tell whether an object must be written.

        The server may spell a value in another way than we do (`1000m` becomes `1`); an object
        that was not touched since we wrote the same manifest is therefore taken as equal.
        """
        if self._written.get((owner.namespace, owner.name, key)) == (
            _fingerprint(manifest),
            _stamp(live),
        ):
            return False
        return not contains(live, manifest)

    async def _is_foreign(self, owner: Owner, key: Key) -> bool:
        resource = BY_KIND[key[0]]
        try:
            found = await self._kube.get(resource.path(owner.namespace, key[1]))
        except GoneError:
            return False
        references = found["metadata"].get("ownerReferences", [])
        controllers = [ref for ref in references if ref.get("controller")]
        if any(ref["uid"] == owner.uid for ref in controllers):
            return False
        reference = owner.reference()
        if any((r["kind"], r["name"]) == (reference["kind"], owner.name) for r in controllers):
            raise ConflictError(
                f"The {key[0]} {key[1]} belongs to a deleted {reference['kind']} of the same name "
                "and is still being removed."
            )
        return True

    async def _write(
        self, owner: Owner, key: Key, manifest: Manifest, live: Manifest | None
    ) -> None:
        path = BY_KIND[key[0]].path(owner.namespace, key[1])
        sent = _guarded(manifest, live) if live and key[0] == "ConfigMap" else manifest
        written = await self._kube.apply(path, sent)
        self._written[(owner.namespace, owner.name, key)] = (
            _fingerprint(manifest),
            _stamp(written),
        )

    async def _remove(self, owner: Owner, key: Key) -> None:
        path = BY_KIND[key[0]].path(owner.namespace, key[1])
        self._written.pop((owner.namespace, owner.name, key), None)
        try:
            await self._kube.send("DELETE", path, {"propagationPolicy": "Background"})
        except GoneError:
            return


def _guarded(manifest: Manifest, live: Manifest) -> Manifest:
    """
    Let a write fail where the object is not what the decision saw.

    Nobody but the operator writes its ConfigMaps, of which one moves the traffic. So an operator
    that decided before another one took over cannot put an old weight in place of a new one.
    """
    version = live["metadata"]["resourceVersion"]
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


def _fingerprint(manifest: Manifest) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _stamp(live: Manifest) -> Any:
    """
    Return what changes when somebody edits the object: its generation, where kinds have one.
    """
    metadata = live["metadata"]
    return metadata.get("generation") or metadata.get("resourceVersion")
