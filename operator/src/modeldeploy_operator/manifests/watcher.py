"""
The watcher: one small pod that looks for versions, with the user's Secret or claim.
"""

from typing import Any

from modeldeploy_operator.manifests import names, template
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.template import Images
from modeldeploy_operator.resource.parts import seconds
from modeldeploy_operator.resource.spec import ModelDeploymentSpec

RESOURCES = {
    "requests": {"cpu": "10m", "memory": "96Mi"},
    "limits": {"memory": "256Mi"},
}


def build_watcher(owner: Owner, spec: ModelDeploymentSpec, images: Images) -> dict[str, Any]:
    """
    Build the watcher's Deployment.
    """
    claim = template.claim_of(spec.model.uri)
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if claim:
        source = {"claimName": claim, "readOnly": True}
        volumes.append({"name": "claim", "persistentVolumeClaim": source})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": owner.metadata(owner.watcher, names.WATCHER),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 0,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": owner.selector(names.WATCHER)},
            "template": {
                "metadata": {"labels": owner.labels(names.WATCHER)},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 5,
                    "securityContext": template.pod_security(
                        runAsUser=template.USER, runAsGroup=template.USER
                    ),
                    "containers": [_container(spec, claim, images)],
                    "volumes": volumes,
                },
            },
        },
    }


def _container(spec: ModelDeploymentSpec, claim: str | None, images: Images) -> dict[str, Any]:
    model, foreign = spec.model, spec.server.image is not None
    mounts: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
    ]
    if claim:
        mounts.append({"name": "claim", "mountPath": f"/pvc/{claim}", "readOnly": True})
    container: dict[str, Any] = {
        "name": "watcher",
        "image": images.runtime,
        "imagePullPolicy": images.pull_policy,
        "args": [
            "watch",
            f"--uri={model.uri}",
            f"--poll_interval={seconds(model.poll_interval):g}s",
            f"--settle_period={seconds(model.settle_period):g}s",
            f"--port={names.FINDINGS_PORT}",
            f"--version_names={'numbers' if foreign else 'ordered'}",
        ],
        "ports": [{"name": "findings", "containerPort": names.FINDINGS_PORT}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "findings"},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "findings"},
            "initialDelaySeconds": 10,
            "periodSeconds": 30,
            "timeoutSeconds": 10,
            "failureThreshold": 3,
        },
        "resources": RESOURCES,
        "securityContext": template.RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    if model.secret_name:
        container["envFrom"] = [{"secretRef": {"name": model.secret_name}}]
    return container
