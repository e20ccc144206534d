"""
Where a revision's model lies: in a volume of the pod's own, or in a folder of a claim.

The container that fetches sees the whole claim, so that it makes the folder itself, as its own
user; the server sees the folder alone, under the path that it has without a claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.resource.model_spec import Cache

Manifest = dict[str, Any]
VOLUME = "models"
ROOT = "modeldeploy-cache"
MOUNT = "/cache"
FOR_CLAIMS = {"fsGroupChangePolicy": "OnRootMismatch"}
"""Lets a volume that many pods share be looked through once, and not at each pod's start."""


def path_of(owner: Owner, revision: str) -> str:
    """
    Name the folder of a revision below the claim's root.
    """
    return f"{ROOT}/{owner.name}/{revision}"


def volume(cache: Cache | None) -> Manifest:
    """
    Build the volume that holds the model.
    """
    if cache is None:
        return {"name": VOLUME, "emptyDir": {}}
    return {"name": VOLUME, "persistentVolumeClaim": {"claimName": cache.claim_name}}


def target(owner: Owner, model: str, revision: str, cache: Cache | None) -> list[str]:
    """
    Write where the fetch brings the version to.
    """
    if cache is None:
        return [f"--to=/models/{model}"]
    return [f"--to={MOUNT}/{path_of(owner, revision)}", "--shared"]


def filled(cache: Cache | None) -> Manifest:
    """
    Build the mount of the container that fetches.
    """
    return {"name": VOLUME, "mountPath": MOUNT if cache else "/models"}


def served(owner: Owner, model: str, revision: str, cache: Cache | None) -> Manifest:
    """
    Build the mount of the server.
    """
    if cache is None:
        return {"name": VOLUME, "mountPath": "/models", "readOnly": True}
    path = path_of(owner, revision)
    return {"name": VOLUME, "mountPath": f"/models/{model}", "subPath": path, "readOnly": True}


@dataclass(frozen=True, slots=True)
class Place:
    """
    A folder of a claim.
    """

    claim: str
    path: str


def place_in(template: Mapping[str, Any]) -> Place | None:
    """
    Read from a rendered pod which folder of a claim its server sees, if it sees one.
    """
    claims = {
        volume["name"]: str(volume["persistentVolumeClaim"]["claimName"])
        for volume in template["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    for mount in template["spec"]["containers"][0]["volumeMounts"]:
        if mount["name"] == VOLUME and mount["name"] in claims:
            return Place(claims[VOLUME], str(mount["subPath"]))
    return None
