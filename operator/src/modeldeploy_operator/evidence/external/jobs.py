"""
Jobs that judge a canary: what each of them came to. A pure module.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy_operator.analysis.external import Measurement
from modeldeploy_operator.evidence import pods as serving
from modeldeploy_operator.manifests import names
from modeldeploy_operator.resource.checks.external_spec import ExternalPart, Replay

Manifest = Mapping[str, Any]
_OUT_OF_TIME = "DeadlineExceeded"


def measure(
    revision: str,
    jobs: Iterable[Manifest],
    pods: Iterable[Manifest],
    parts: Mapping[str, ExternalPart],
) -> dict[str, Measurement]:
    """
    Tell what the Jobs of a revision came to.

    Args:
        revision: The canary's revision.
        jobs: The Jobs that exist.
        pods: Their pods.
        parts: Check name to what is asked of it.

    """
    own = list(pods)
    found: dict[str, Measurement] = {}
    for job in jobs:
        labels = job["metadata"].get("labels", {})
        check = labels.get(names.CHECK_LABEL, "")
        if labels.get(names.REVISION_LABEL) != revision or check not in parts:
            continue
        asked = job["metadata"].get("annotations", {}).get(names.ASKED_ANNOTATION, "")
        mine = [pod for pod in own if is_of(pod, job)]
        found[check] = _of(asked, job, mine, parts[check])
    return found


def is_of(pod: Manifest, job: Manifest) -> bool:
    """
    Tell whether a pod is of a Job.
    """
    references = pod["metadata"].get("ownerReferences", [])
    return any(ref["uid"] == job["metadata"].get("uid") for ref in references)


def _of(asked: str, job: Manifest, pods: list[Manifest], part: ExternalPart) -> Measurement:
    name = job["metadata"]["name"]
    ended = conditions(job)
    failure = ended.get("Failed", {})
    if failure.get("reason") == _OUT_OF_TIME:
        return Measurement(asked, problem=f"The Job {name} did not end within its timeout.")
    if "Complete" in ended or failure:
        if isinstance(part, Replay):
            return _replayed(asked, name, pods, part)
        told = last_words(pods) or failure.get("message", "it ended without a word.")
        return Measurement(asked, value=0.0 if failure else 1.0, message=told)
    trouble = next(filter(None, map(serving.failure_of, pods)), None)
    if trouble:
        return Measurement(asked, problem=f"The Job {name} does not run: {trouble.message}")
    return Measurement(asked, pending=f"The Job {name} is under way.")


def conditions(job: Manifest) -> dict[str, Mapping[str, Any]]:
    """
    Read the conditions of a Job that hold, by their type.
    """
    found = job.get("status", {}).get("conditions") or []
    return {condition["type"]: condition for condition in found if condition["status"] == "True"}


def _ended(pods: list[Manifest]) -> list[Mapping[str, Any]]:
    """
    List how containers ended, the last first.
    """
    ended = [
        state["terminated"]
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses") or []
        if "terminated" in (state := container.get("state", {}))
    ]
    return sorted(ended, key=lambda end: str(end.get("finishedAt") or ""), reverse=True)


def last_words(pods: list[Manifest]) -> str:
    """
    Say what a container said last that failed; nothing if none did.
    """
    for end in _ended(pods):
        if end.get("exitCode") != 0:
            told = " ".join((end.get("message") or "").split())
            return told or f"{end.get('reason', 'Error')}, exit status {end.get('exitCode')}."
    return ""


def _replayed(asked: str, name: str, pods: list[Manifest], part: Replay) -> Measurement:
    for end in _ended(pods):
        try:
            told = json.loads(end.get("message") or "")
            compared, mismatched = int(told["compared"]), int(told["mismatched"])
            message = str(told["message"])
        except (ValueError, KeyError, TypeError):
            continue
        if told.get("code") != "Replayed":
            return Measurement(asked, problem=message)
        if compared < part.min_requests:
            problem = f"{message} At least {part.min_requests} must be compared."
            return Measurement(asked, problem=problem)
        return Measurement(asked, mismatched / compared, compared, message)
    return Measurement(asked, problem=f"The Job {name} ended and did not say what it found.")
