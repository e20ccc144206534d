"""
Shared pods: one Deployment whose pods hold more than one version, and the list of those versions.

The kubelet brings the list into the pods, where the container `follow` fetches what is new on it,
removes what is no longer on it, and alone gets the Secret; the server serves what is there.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from modeldeploy_operator.manifests import names, pool
from modeldeploy_operator.manifests.entrance.routing import KEY
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.pool import METADATA
from modeldeploy_operator.manifests.template import ANY_NAME, Images, build_pod_template
from modeldeploy_operator.resource import GROUP
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.memory import Revision

FOLDER = "/etc/modeldeploy/serving"
LIST, CONFIG = "versions.json", "models.config"
FOLLOWER = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}
"""What the follower asks for and may use: the model's resources are the server's alone."""
POLL = "--file_system_poll_wait_seconds=1"

Manifest = dict[str, Any]


READ_ANNOTATION = f"{GROUP}/versions"
"""Which list a pod was last told to read, and when."""
READ_AGAIN = timedelta(seconds=3)
"""How often a pod is told again: the kubelet may have looked before it knew of the list."""


@dataclass(frozen=True, slots=True)
class Listed:
    """
    A version on the list of shared pods, and the revision that it is of.
    """

    revision: str
    version: str


def is_shared(name: str) -> bool:
    """
    Tell the name of shared pods from a revision, which has hexadecimal digits alone.
    """
    return name.startswith("p")


def build_template(
    owner: Owner, spec: ModelDeploymentSpec, home: str, images: Images
) -> dict[str, Any]:
    """
    Build the template of shared pods: it names no version, so that no version restarts a pod.
    """
    template = build_pod_template(owner, spec, Revision(home, ""), images)
    within = template["spec"]
    [fetch], [server] = within.pop("initContainers"), within["containers"]
    model = spec.model_name(owner.name)
    listed = {"name": "serving", "mountPath": FOLDER, "readOnly": True}
    fetch["name"] = "follow"
    fetch["args"] = [
        "follow",
        f"--uri={spec.model.uri}",
        f"--to=/models/{model}",
        f"--wanted={FOLDER}/{LIST}",
        f"--port={names.FOLLOW_PORT}",
        *([f"--platform={spec.model.platform}"] if spec.model.platform else []),
    ]
    del fetch["env"]
    fetch["resources"] = FOLLOWER
    kept = [mount for mount in fetch["volumeMounts"] if mount["name"] != "interface"]
    fetch["volumeMounts"] = [*kept, listed]
    which = (f"--model_name={model}", f"--model_base_path=/models/{model}", ANY_NAME)
    args = [argument for argument in server["args"] if argument not in which]
    server["args"] = [*args, f"--model_config_file={FOLDER}/{CONFIG}", POLL, ANY_NAME]
    server["volumeMounts"] = [*server["volumeMounts"], listed]
    within["containers"] = [server, fetch]
    volumes = [volume for volume in within["volumes"] if volume["name"] != "interface"]
    list_of = {"name": owner.versions(home)}
    within["volumes"] = [*volumes, {"name": "serving", "configMap": list_of}]
    return template


def build_list(
    owner: Owner,
    spec: ModelDeploymentSpec,
    home: str,
    entries: Sequence[Listed],
    known: tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]],
) -> Manifest:
    """
    Build the list of the versions that shared pods hold.

    Args:
        owner: The ModelDeployment.
        spec: What the user wrote.
        home: The pods.
        entries: The versions.
        known: The digests of revisions, and what they are compared with.

    """
    digests, interfaces = known
    model = spec.model_name(owner.name)
    signatures = spec.model.signatures
    told = {e.revision: interfaces.get(e.revision, {}).get(METADATA) for e in entries}
    if signatures.compatibility == "Off":
        told = {}
    listed = []
    for entry in entries:
        more: dict[str, Any] = {
            "digest": digests.get(entry.revision) or spec_digest(spec, entry),
            "required": list(signatures.required),
            "against": _file(entry) if told.get(entry.revision) else "",
            "compatibility": signatures.compatibility,
        }
        one = {"revision": entry.revision, "version": entry.version}
        listed.append(one | {key: value for key, value in more.items() if value})
    files = {_file(e): text for e in entries if (text := told.get(e.revision))}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(owner.versions(home), names.SERVER, home),
        "data": {
            LIST: json.dumps({"versions": listed}, indent=1),
            CONFIG: _config(model),
            **files,
        },
    }


def spec_digest(spec: ModelDeploymentSpec, entry: Listed) -> str:
    """
    Return the digest that the user gave for a version, if it is the one that is wanted.
    """
    return (spec.model.digest or "") if str(spec.model.version) == entry.version else ""


def _file(entry: Listed) -> str:
    return f"interface-{entry.revision}.json"


def _config(model: str) -> str:
    """
    Let the server serve every version that it finds, as the list decides what there is.
    """
    return (
        "model_config_list { config {\n"
        f"  name: {json.dumps(model)}\n  base_path: {json.dumps('/models/' + model)}\n"
        '  model_platform: "tensorflow"\n  model_version_policy { all {} }\n'
        "} }\n"
    )


def lead(owner: Owner, config_map: Manifest, shared: Mapping[str, str]) -> Manifest:
    """
    Make a routing configuration lead to shared pods, where each request must name its version.
    """
    content = json.loads(config_map["data"][KEY])
    for slot in content["slots"].values():
        if home := shared.get(slot["revision"]):
            slot.update(service=owner.pool(home), shared=True)
    return {**config_map, "data": {KEY: json.dumps(content, indent=1)}}


def read_list(config_map: Mapping[str, Any] | None) -> tuple[Listed, ...]:
    """
    Read back which versions shared pods are to hold; nothing of what is no list of ours.
    """
    try:
        found = json.loads((config_map or {})["data"][LIST])["versions"]
        return tuple(Listed(str(item["revision"]), str(item["version"])) for item in found)
    except (KeyError, TypeError, ValueError):
        return ()


def build_mark(
    pod: Mapping[str, Any], config_map: Mapping[str, Any] | None, now: datetime
) -> Manifest | None:
    """
    Build an annotation that makes the kubelet bring a changed list into a pod at once.

    It looks at a pod whose annotations change; else it would within about a minute.

    Returns:
        What to apply; None where there is no list, or the pod was told of it a moment ago.

    """
    text = json.dumps((config_map or {}).get("data"), sort_keys=True)
    mark = hashlib.sha256(text.encode()).hexdigest()[:10]
    metadata = pod["metadata"]
    told = f"{mark}-{int(now.timestamp() // READ_AGAIN.total_seconds())}"
    if not config_map or metadata.get("annotations", {}).get(READ_ANNOTATION) == told:
        return None
    # The uid keeps another pod from being made where this one is gone by then.
    annotations = {READ_ANNOTATION: told}
    marked = {"name": metadata["name"], "uid": metadata["uid"], "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": marked}


def build_objects(
    owner: Owner, home: str, template: dict[str, Any], replicas: int
) -> list[Manifest]:
    """
    Build what shared pods have besides their list.
    """
    return [
        pool.build_service(owner, home),
        pool.build_deployment(owner, Revision(home, ""), template, replicas),
        pool.build_budget(owner, owner.pool(home), names.SERVER, home),
    ]
