"""
The Jobs that judge a canary before it gets any traffic.

A Job is made once for each canary and check. It goes when the rollout ends or the check changes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy_operator.manifests import encryption, names
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.template import (
    RESTRICTED,
    USER,
    Images,
    claim_of,
    pod_security,
)
from modeldeploy_operator.resource.checks import external_spec
from modeldeploy_operator.resource.checks.external_spec import Job, Replay
from modeldeploy_operator.resource.parts import seconds
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.memory import Memory, Revision

Manifest = dict[str, Any]
NAME_LIMIT = 63
REPLAY_RETRIES = 2
_GIVES_UP: tuple[Manifest, ...] = (
    {
        "action": "FailJob",
        "onExitCodes": {"containerName": "replay", "operator": "In", "values": [2]},
    },
)
"""A replay that says that trying again cannot help is not tried again."""
_TMP = "/tmp"  # noqa: S108 - a volume of the pod's own


def build_jobs(
    owner: Owner,
    spec: ModelDeploymentSpec,
    images: Images,
    memory: Memory,
    wanted: Iterable[str],
    templates: Mapping[str, Manifest],
) -> list[Manifest]:
    """
    Build the Jobs of these checks; none without a canary.

    Args:
        owner: The ModelDeployment.
        spec: What the user wrote.
        images: The operator's images.
        memory: What the operator remembers.
        wanted: The checks.
        templates: Revision to what its pods are made from.

    """
    if memory.canary is None or memory.stable is None:
        return []
    canary, stable = memory.canary.revision, memory.stable
    parts = spec.rollout.external_parts()
    jobs = []
    for name in wanted:
        part = parts[name]
        if isinstance(part, Replay):
            pod = _replay_pod(owner, spec, images, part)
            is_encrypted = encryption.is_offered(templates[canary.revision])
            _aim(owner, canary, pod["spec"], is_encrypted=is_encrypted)
            jobs.append(_job(owner, canary, name, part, pod))
        elif isinstance(part, Job):
            environment = _environment(owner, spec, {"CANARY": canary, "STABLE": stable})
            jobs.append(_job(owner, canary, name, part, _users_pod(part, environment)))
    return jobs


def name_of(owner: Owner, revision: str, check: str, asked: str) -> str:
    """
    Name a Job, within the length that its pods' labels allow.

    >>> name_of(Owner("mnist", "vision", ""), "0a1b2c3d4e", "accuracy", "12345678")
    'mnist-0a1b2c3d4e-accuracy-12345'
    """
    base = owner.pool(revision)
    room = NAME_LIMIT - len(base) - len("-12345") - 1
    readable = f"-{check[:room].rstrip('-')}" if room > 0 else ""
    return f"{base}{readable}-{asked[:5]}"


def _job(owner: Owner, canary: Revision, check: str, part: Job | Replay, pod: Manifest) -> Manifest:
    asked = external_spec.terms(check, part).asked
    metadata = owner.metadata(
        name_of(owner, canary.revision, check, asked), names.CHECK, canary.revision
    )
    metadata["labels"][names.CHECK_LABEL] = check
    metadata["annotations"] = {names.ASKED_ANNOTATION: asked}
    # Without the revision's label, so that no Service and no count takes it for a serving pod.
    labels = {**owner.labels(names.CHECK), names.CHECK_LABEL: check}
    pod["metadata"]["labels"] = {**pod["metadata"].get("labels", {}), **labels}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": REPLAY_RETRIES if isinstance(part, Replay) else 0,
            "activeDeadlineSeconds": max(1, round(seconds(part.timeout))),
            # A pod that a node's drain took has said nothing.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    *(_GIVES_UP if isinstance(part, Replay) else ()),
                ]
            },
            "template": pod,
        },
    }


def _address(owner: Owner, revision: str) -> str:
    return f"{owner.pool(revision)}.{owner.namespace}.svc"


def _environment(
    owner: Owner, spec: ModelDeploymentSpec, revisions: Mapping[str, Revision]
) -> list[Manifest]:
    values = {
        "NAME": owner.name,
        "NAMESPACE": owner.namespace,
        "MODEL": spec.model_name(owner.name),
    }
    for role, revision in revisions.items():
        host = _address(owner, revision.revision)
        values[f"{role}_HOST"] = host
        values[f"{role}_GRPC"] = f"{host}:{names.GRPC_PORT}"
        values[f"{role}_REST"] = f"http://{host}:{names.REST_PORT}"
        values[f"{role}_REVISION"] = revision.revision
        values[f"{role}_VERSION"] = revision.version
    return [{"name": f"MODELDEPLOY_{name}", "value": value} for name, value in values.items()]


def _aim(owner: Owner, canary: Revision, pod: Manifest, *, is_encrypted: bool) -> None:
    """
    Say where recorded requests go; as they hold what users sent, encrypted where that can be.
    """
    [container] = pod["containers"]
    port = names.GRPC_TLS_PORT if is_encrypted else names.GRPC_PORT
    container["args"].append(f"--target={_address(owner, canary.revision)}:{port}")
    if not is_encrypted:
        return
    container["args"] += [
        f"--root_certificates_file={encryption.PATH}/{encryption.AUTHORITY}",
        f"--server_name={encryption.host(owner)}",
    ]
    pod["volumes"].append(encryption.trust(owner, container))


def _users_pod(part: Job, environment: list[Manifest]) -> Manifest:
    """
    Take the pod as the user wrote it; what it says itself stands.
    """
    written = part.template
    spec: Manifest = {"automountServiceAccountToken": False, **written.spec}
    if "serviceAccountName" in written.spec and "automountServiceAccountToken" not in written.spec:
        del spec["automountServiceAccountToken"]
    spec["restartPolicy"] = "Never"
    for kind in ("initContainers", "containers"):
        if kind in spec:
            spec[kind] = [_container(container, environment) for container in spec[kind]]
    metadata = {
        "labels": dict(written.metadata.labels),
        "annotations": dict(written.metadata.annotations),
    }
    return {"metadata": metadata, "spec": spec}


def _container(container: Manifest, environment: list[Manifest]) -> Manifest:
    own = container.get("env") or []
    said = {variable["name"] for variable in own}
    added = [variable for variable in environment if variable["name"] not in said]
    return {
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **container,
        "env": [*added, *own],
    }


def _replay_pod(owner: Owner, spec: ModelDeploymentSpec, images: Images, part: Replay) -> Manifest:
    container: Manifest = {
        "name": "replay",
        "image": images.runtime,
        "imagePullPolicy": images.pull_policy,
        "args": [
            "replay",
            f"--uri={part.uri}",
            f"--model={spec.model_name(owner.name)}",
            f"--tolerance={part.tolerance!r}",
            f"--max_requests={part.max_requests}",
            "--termination-log=/dev/termination-log",
        ],
        "securityContext": {**RESTRICTED, "runAsUser": USER},
        "volumeMounts": [{"name": "tmp", "mountPath": _TMP}],
    }
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    claim = claim_of(part.uri)
    if claim:
        source = {"claimName": claim, "readOnly": True}
        volumes.append({"name": "claim", "persistentVolumeClaim": source})
        mount = {"name": "claim", "mountPath": f"/pvc/{claim}", "readOnly": True}
        container["volumeMounts"].append(mount)
    if part.secret_name:
        container["envFrom"] = [{"secretRef": {"name": part.secret_name}}]
    return {
        "metadata": {},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": pod_security(),
            "containers": [container],
            "volumes": volumes,
        },
    }
