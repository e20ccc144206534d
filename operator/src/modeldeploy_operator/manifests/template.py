"""
The pod of a revision: it is rendered once, when the revision is first seen, and kept.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from modeldeploy_operator.manifests import encryption, names, shadow
from modeldeploy_operator.manifests.cache import folder
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.pool import METADATA
from modeldeploy_operator.resource.model_spec import Signatures
from modeldeploy_operator.resource.spec import ModelDeploymentSpec, Resources
from modeldeploy_operator.rollout.memory import Revision

USER = 65532
DRAIN_SECONDS = 5
GRACE_SECONDS = 60
INTERFACE_PATH = "/etc/modeldeploy/interface"

RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""What Pod Security's `restricted` asks of every container."""


def pod_security(**who: int) -> dict[str, Any]:
    """
    Build what `restricted` asks of every pod; `who` says which user its containers run as.
    """
    return {
        "runAsNonRoot": True,
        **who,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


@dataclass(frozen=True, slots=True)
class Images:
    """
    The images that the operator runs, and how they are pulled.
    """

    runtime: str
    router: str
    pull_policy: str = "IfNotPresent"


def resources_of(resources: Resources) -> dict[str, Any]:
    """
    Turn resources into a container's field, leaving out what was not set.
    """
    values = resources.model_dump(exclude_defaults=True)
    return {kind: {k: str(v) for k, v in amounts.items()} for kind, amounts in values.items()}


def build_pod_template(
    owner: Owner, spec: ModelDeploymentSpec, revision: Revision, images: Images
) -> dict[str, Any]:
    """
    Build the pod template of a revision.

    An init container from our runtime image fetches the model and alone gets the Secret; the
    server sees a local path.
    """
    claim = claim_of(spec.model.uri)
    volumes = [folder.volume(spec.model.cache), {"name": "tmp", "emptyDir": {}}]
    if spec.model.signatures.compatibility != "Off":
        described = {"name": owner.interface(revision.revision), "optional": True}
        volumes.append({"name": "interface", "configMap": described})
    if claim and not _is_cache(spec, claim):
        source = {"claimName": claim, "readOnly": True}
        volumes.append({"name": "claim", "persistentVolumeClaim": source})
    security = pod_security()
    if spec.model.cache:
        security |= folder.FOR_CLAIMS
    if spec.server.image is None:
        security["runAsUser"] = USER
        token = {"secretName": owner.control, "defaultMode": 0o440}
        volumes.append({"name": names.CONTROL, "secret": token})
    pod_labels = owner.selector(names.SERVER, revision.revision)
    template: dict[str, Any] = {
        "metadata": {"labels": owner.labels(names.SERVER, revision.revision)},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": security,
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": pod_labels},
                }
            ],
            "initContainers": [_fetcher(owner, spec, revision, images)],
            "containers": [_server(owner, spec, revision, images)],
            "volumes": volumes,
        },
    }
    if spec.server.image is None:
        encryption.offer(owner, template["spec"])
    return template


ANY_NAME = "--version_names=any"
"""Lets our server serve a version whose name is no number."""

_LAST_ARGS = (
    "--enable_reload_config_request=false",
    f"--control_port={names.CONTROL_PORT}",
    "--control_host=",
    f"--control_token_file={shadow.PATH}/{shadow.TOKEN}",
)


def claim_of(uri: str) -> str | None:
    """
    Return the claim that a URI names, if it names one.
    """
    parts = urlsplit(uri)
    return parts.netloc if parts.scheme == "pvc" else None


def _is_cache(spec: ModelDeploymentSpec, claim: str) -> bool:
    """
    Tell whether a claim is the cache as well: a pod gets no volume twice.
    """
    return spec.model.cache is not None and spec.model.cache.claim_name == claim


def _fetcher(
    owner: Owner, spec: ModelDeploymentSpec, revision: Revision, images: Images
) -> dict[str, Any]:
    model, claim = spec.model, claim_of(spec.model.uri)
    mounts: list[dict[str, Any]] = [
        folder.filled(model.cache),
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
    ]
    if model.signatures.compatibility != "Off":
        mounts.append({"name": "interface", "mountPath": INTERFACE_PATH, "readOnly": True})
    if claim:
        volume = folder.VOLUME if _is_cache(spec, claim) else "claim"
        mounts.append({"name": volume, "mountPath": f"/pvc/{claim}", "readOnly": True})
    args = [
        "fetch",
        f"--uri={model.uri}",
        f"--version={model.version}",
        *folder.target(owner, spec.model_name(owner.name), revision.revision, model.cache),
        "--termination-log=/dev/termination-log",
    ]
    if model.digest:
        args.append(f"--digest={model.digest}")
    if model.platform:
        args.append(f"--platform={model.platform}")
    args += _demands(model.signatures)
    container: dict[str, Any] = {
        "name": "fetch",
        "image": images.runtime,
        "imagePullPolicy": images.pull_policy,
        "args": args,
        "resources": resources_of(spec.resources),
        "securityContext": {**RESTRICTED, "runAsUser": USER},
        "volumeMounts": mounts,
    }
    container["env"] = [
        {
            "name": "MODELDEPLOY_DIGEST",
            "valueFrom": {
                "configMapKeyRef": {
                    "name": owner.pool(revision.revision),
                    "key": "digest",
                    "optional": True,
                }
            },
        }
    ]
    if model.secret_name:
        container["envFrom"] = [{"secretRef": {"name": model.secret_name}}]
    return container


def _demands(signatures: Signatures) -> list[str]:
    """
    Write what the fetch is to ask of the version's signatures.
    """
    required = ",".join(signatures.required)
    compared = [
        f"--against={INTERFACE_PATH}/{METADATA}",
        f"--compatibility={signatures.compatibility}",
    ]
    return [
        *([f"--required_signatures={required}"] if required else []),
        *(compared if signatures.compatibility != "Off" else []),
    ]


def _server(
    owner: Owner, spec: ModelDeploymentSpec, revision: Revision, images: Images
) -> dict[str, Any]:
    model = spec.model_name(owner.name)
    ours = spec.server.image is None
    ready = {"httpGet": {"path": "/readyz", "port": "rest"}}
    probe: dict[str, Any] = ready if ours else {"tcpSocket": {"port": "rest"}}
    container: dict[str, Any] = {
        "name": "server",
        "image": spec.server.image or images.runtime,
        "imagePullPolicy": images.pull_policy,
        "args": [
            f"--port={names.GRPC_PORT}",
            f"--rest_api_port={names.REST_PORT}",
            f"--model_name={model}",
            f"--model_base_path=/models/{model}",
            *(["--max_num_load_retries=0"] if ours else []),
            *spec.server.args,
            # Last, so that nothing undoes it: what a pod serves is what its revision says.
            *([ANY_NAME] if ours and not str(spec.model.version).isdigit() else []),
            *(_LAST_ARGS if ours else []),
        ],
        "ports": [
            {"name": "grpc", "containerPort": names.GRPC_PORT},
            {"name": "rest", "containerPort": names.REST_PORT},
        ],
        "readinessProbe": {**probe, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        "resources": resources_of(spec.resources),
        "securityContext": RESTRICTED,
        # What the server said last is the message of its failure.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            folder.served(owner, model, revision.revision, spec.model.cache),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        ],
    }
    if ours:
        container["ports"].append({"name": names.CONTROL, "containerPort": names.CONTROL_PORT})
        container["volumeMounts"].append(
            {"name": names.CONTROL, "mountPath": shadow.PATH, "readOnly": True}
        )
        container["livenessProbe"] = {
            "httpGet": {"path": "/healthz", "port": "rest"},
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        }
    return container
