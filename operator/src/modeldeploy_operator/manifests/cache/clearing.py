"""
The Jobs that remove the folders of revisions that are kept no longer.

A revision's record stays until its Job has ended, so that no folder is forgotten, and there is no
Job while the revision has pods, even such as end: their servers would notice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.cache import folder
from modeldeploy_operator.manifests.cache.folder import (
    FOR_CLAIMS,
    MOUNT,
    VOLUME,
    Place,
    place_in,
)
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.template import RESTRICTED, USER, Images, pod_security
from modeldeploy_operator.rollout.decision import Note

Manifest = dict[str, Any]
RETRIES = 2
SECONDS = 600
LIFE_SECONDS = 3600
KEPT = "CacheKept"
"""The reason with which a folder that could not be removed is told."""
RESOURCES = {
    "requests": {"cpu": "10m", "memory": "64Mi"},
    "limits": {"memory": "256Mi"},
}


@dataclass(frozen=True, slots=True)
class Clearing:
    """
    What was seen of revisions that leave a cache.

    Attributes:
        busy: The revisions that have pods.
        ended: Revision to what its Job failed with; empty where it did what it was to do.

    """

    busy: frozenset[str] = frozenset()
    ended: Mapping[str, str] = field(default_factory=dict)

    def notes(self, owner: Owner) -> tuple[Note, ...]:
        """
        Tell of folders that could not be removed; nothing tries again.
        """
        return tuple(
            Note(
                KEPT,
                f"{folder.path_of(owner, revision)} stays in the cache, where nothing uses it: "
                f"{why} Remove it by hand.",
                warning=True,
            )
            for revision, why in sorted(self.ended.items())
            if why
        )


def leaving(
    templates: Mapping[str, Mapping[str, Any]], kept: Iterable[str], seen: Clearing
) -> dict[str, Place]:
    """
    Find the revisions that are kept no longer and whose folder nobody has removed yet.
    """
    gone = {name: place_in(templates[name]) for name in templates.keys() - {*kept, *seen.ended}}
    return {name: place for name, place in sorted(gone.items()) if place}


def name_of(owner: Owner, revision: str) -> str:
    """
    Name the Job that removes the folder of a revision.
    """
    return f"{owner.pool(revision)}-cache"


def build_job(owner: Owner, images: Images, revision: str, place: Place) -> Manifest:
    """
    Build the Job that removes a folder.
    """
    container: Manifest = {
        "name": "discard",
        "image": images.runtime,
        "imagePullPolicy": images.pull_policy,
        "args": [
            "discard",
            f"--folder={MOUNT}/{place.path}",
            "--termination-log=/dev/termination-log",
        ],
        "resources": RESOURCES,
        "securityContext": {**RESTRICTED, "runAsUser": USER},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": VOLUME, "mountPath": MOUNT}],
    }
    source = {"claimName": place.claim}
    # Without the revision's label, so that no Service and no count takes it for a serving pod.
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": owner.metadata(name_of(owner, revision), names.CACHE, revision),
        "spec": {
            "backoffLimit": RETRIES,
            "activeDeadlineSeconds": SECONDS,
            "ttlSecondsAfterFinished": LIFE_SECONDS,
            "template": {
                "metadata": {"labels": owner.labels(names.CACHE)},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    # Whoever wants the revision back takes the Job away, and must not be met.
                    "terminationGracePeriodSeconds": 1,
                    "securityContext": {**pod_security(), **FOR_CLAIMS},
                    "containers": [container],
                    "volumes": [{"name": VOLUME, "persistentVolumeClaim": source}],
                },
            },
        },
    }
