"""
A revision's objects: the kept template, the Deployment, and the Service that lists its pods.
"""

from collections.abc import Mapping
from typing import Any

from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.rollout.memory import Revision


def build_deployment(
    owner: Owner, revision: Revision, template: dict[str, Any], replicas: int
) -> dict[str, Any]:
    """
    Build the Deployment of a pool.
    """
    name = revision.revision
    metadata = owner.metadata(owner.pool(name), names.SERVER, name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**metadata, "annotations": {names.VERSION_ANNOTATION: revision.version}},
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "selector": {"matchLabels": owner.selector(names.SERVER, name)},
            "template": template,
        },
    }


def build_service(owner: Owner, revision: str) -> dict[str, Any]:
    """
    Build the headless Service whose EndpointSlices tell the routers of the pool's pods.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(owner.pool(revision), names.SERVER, revision),
        "spec": {
            "clusterIP": "None",
            "selector": owner.selector(names.SERVER, revision),
            "ports": service_ports(),
        },
    }


def build_preview(owner: Owner, revision: str) -> dict[str, Any]:
    """
    Build the Service that leads to a candidate's pods alone, past the routers.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(owner.preview, names.SERVER),
        "spec": {
            "type": "ClusterIP",
            "selector": owner.selector(names.SERVER, revision),
            "ports": service_ports(),
        },
    }


def service_ports(*, is_encrypted: bool = False) -> list[dict[str, Any]]:
    """
    Build the two ports that clients of TensorFlow Serving know.
    """
    return [
        {
            "name": "grpc",
            "port": names.GRPC_PORT,
            "targetPort": "grpc",
            "protocol": "TCP",
            "appProtocol": "https" if is_encrypted else "kubernetes.io/h2c",
        },
        {
            "name": "rest",
            "port": names.REST_PORT,
            "targetPort": "rest",
            "protocol": "TCP",
            "appProtocol": "https" if is_encrypted else "http",
        },
    ]


def build_budget(
    owner: Owner, name: str, component: str, revision: str | None = None
) -> dict[str, Any]:
    """
    Build the budget that lets a node's drain take one pod of a Deployment at a time.

    It counts what may be away and not what must be there, so that a lone canary holds no drain up;
    neither does a pod that is not ready and so answers nobody.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": owner.metadata(name, component, revision),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": owner.selector(component, revision)},
        },
    }


def build_controller_revision(
    owner: Owner, revision: str, number: int, data: dict[str, Any]
) -> dict[str, Any]:
    """
    Build the record of a revision: what the user asked for, and the pod template made from it.

    The API server lets nobody change one, so that its number is part of its name.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": owner.metadata(f"{owner.pool(revision)}-{number}", names.SERVER, revision),
        "revision": number,
        "data": data,
    }


METADATA, WAIVED = "metadata.json", "waived"
"""What the ConfigMap with an interface holds: the interface, or why there is none."""
UNCHECKED = "SignatureUnchecked"
"""The reason with which a comparison that was waived is told."""


def build_interface(owner: Owner, revision: str, data: Mapping[str, str]) -> dict[str, Any]:
    """
    Build the record of what the clients of the stable revision knew when this one was first tried.

    It is there before the pool and as long as it, so that every pod comes to the same verdict.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(owner.interface(revision), names.SERVER, revision),
        "immutable": True,
        "data": dict(data),
    }


def build_digest(owner: Owner, revision: str, digest: str) -> dict[str, Any]:
    """
    Build the record of what a revision's model contained when it was first fetched.

    Every later pod of the revision checks its own fetch against it.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(owner.pool(revision), names.SERVER, revision),
        "immutable": True,
        "data": {"digest": digest},
    }
