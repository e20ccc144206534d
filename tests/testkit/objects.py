"""
Builders of what the operator's tests talk about: a spec, its object, a pod.
"""

from datetime import UTC, datetime
from typing import Any

from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.template import Images
from modeldeploy_operator.resource import API_VERSION, KIND
from modeldeploy_operator.resource.spec import ModelDeploymentSpec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNER = Owner("mnist", "vision", "uid-1")
IMAGES = Images(runtime="images.example/runtime:1", router="images.example/router:1")
PATH = "/apis/serving.modeldeploy.io/v1alpha1/namespaces/vision/modeldeployments/mnist"


def a_spec_dict(version: int | str = 1, **changes: Any) -> dict[str, Any]:
    """
    Build the smallest spec as a user writes it, with changes at its top.
    """
    return {"model": {"uri": "s3://models/mnist", "version": version}, **changes}


def a_spec(version: int | str = 1, **changes: Any) -> ModelDeploymentSpec:
    """
    Build the smallest spec as the operator reads it, with changes at its top.
    """
    return ModelDeploymentSpec.model_validate(a_spec_dict(version, **changes))


def an_object(version: int | str = 1, **changes: Any) -> dict[str, Any]:
    """
    Build a ModelDeployment as the API server returns it.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": OWNER.name,
            "namespace": OWNER.namespace,
            "uid": OWNER.uid,
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": a_spec_dict(version, **changes),
        "status": {"observedGeneration": -1},
    }


def a_container(name: str = "server", **state: dict[str, Any]) -> dict[str, Any]:
    """
    Build a container's status: `a_container(running={})`.
    """
    return {"name": name, "image": "images.example/runtime:1", "state": state}


def a_pod(
    *,
    ready: bool = False,
    first: tuple[dict[str, Any], ...] = (),
    containers: tuple[dict[str, Any], ...] = (),
    **status: Any,
) -> dict[str, Any]:
    """
    Build a serving pod with the statuses of its init containers and its containers.
    """
    return {
        "metadata": {"name": "mnist-0a1b2c3d4e-x", "labels": {}},
        "status": {
            "podIP": "10.0.0.9",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "initContainerStatuses": list(first),
            "containerStatuses": list(containers),
            **status,
        },
    }
