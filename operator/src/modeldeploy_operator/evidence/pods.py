"""
Pods: at which stage they are, and why they go no further. A pure module.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from modeldeploy_operator.rollout.snapshot import Failure, Pool

Pod = Mapping[str, Any]

_IMAGE_TROUBLE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
_PERMANENT_IMAGE_TROUBLE = {"InvalidImageName"}
_CONFIG_TROUBLE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


def is_ready(pod: Pod) -> bool:
    """
    Tell whether a pod is ready and is to stay.
    """
    return _readiness(pod) is not None


def ready_since(pod: Pod) -> datetime | None:
    """
    Find since when a pod is ready that is to stay; None of another.
    """
    readiness = _readiness(pod)
    return datetime.fromisoformat(readiness["lastTransitionTime"]) if readiness else None


def _readiness(pod: Pod) -> Mapping[str, Any] | None:
    if pod["metadata"].get("deletionTimestamp"):
        return None
    conditions: list[Mapping[str, Any]] = pod.get("status", {}).get("conditions") or []
    ready = (c for c in conditions if c["type"] == "Ready" and c["status"] == "True")
    return next(ready, None)


def _statuses(pod: Pod) -> list[Mapping[str, Any]]:
    status = pod.get("status", {})
    first = status.get("initContainerStatuses") or []
    return [*first, *(status.get("containerStatuses") or [])]


def is_loading(pod: Pod) -> bool:
    """
    Tell whether the pod's server runs and is not ready, so that it can be asked why.
    """
    running = any("running" in c.get("state", {}) and c["name"] == "server" for c in _statuses(pod))
    return running and not is_ready(pod) and bool(pod["status"].get("podIP"))


def stage_of(pod: Pod) -> str:
    """
    Name the stage that a pod is at; the names are gates of the rollout.
    """
    statuses = _statuses(pod)
    reasons = {c.get("state", {}).get("waiting", {}).get("reason") for c in statuses}
    if reasons & _IMAGE_TROUBLE:
        return "PullingImage"
    fetch = next((c for c in statuses if c["name"] == "fetch"), None)
    if fetch and fetch.get("state", {}).get("terminated", {}).get("exitCode") != 0:
        waiting = fetch.get("state", {}).get("waiting", {}).get("reason")
        return "AwaitingPods" if waiting == "PodInitializing" else "FetchingModel"
    server = next((c for c in statuses if c["name"] == "server"), None)
    if server and ("running" in server.get("state", {}) or server.get("restartCount")):
        return "LoadingModel"
    return "AwaitingPods"


def failure_of(pod: Pod, load_error: str | None = None) -> Failure | None:
    """
    Say why a pod is not ready, if it shows.
    """
    if load_error:
        told = " ".join(load_error.split())
        return Failure("ModelUnusable", f"The model cannot be loaded: {told}", permanent=True)
    for container in _statuses(pod):
        failure = _container_failure(container)
        if failure:
            return failure
    for condition in pod.get("status", {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Failure("Unschedulable", condition.get("message", "No node takes the pod."))
    return None


def _container_failure(container: Mapping[str, Any]) -> Failure | None:
    state, name = container.get("state", {}), container["name"]
    waiting = state.get("waiting", {})
    reason = waiting.get("reason", "")
    if reason in _IMAGE_TROUBLE:
        message = waiting.get("message") or f"The image {container.get('image')} cannot be pulled."
        return Failure(reason, message, permanent=reason in _PERMANENT_IMAGE_TROUBLE)
    if reason in _CONFIG_TROUBLE:
        return Failure(reason, waiting.get("message", f"The container {name} cannot be made."))
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
    if not ended or ended.get("exitCode") == 0 or "running" in state:
        return None
    return _ending(name, ended)


def _ending(name: str, ended: Mapping[str, Any]) -> Failure:
    if ended.get("reason") == "OOMKilled":
        return Failure(
            "OutOfMemory",
            f"The container {name} needed more memory than its limit; raise "
            "spec.resources.limits.memory.",
        )
    if name == "fetch":
        return _fetch_failure(ended)
    message = ended.get("message") or f"it exited with status {ended.get('exitCode')}"
    return Failure("ContainerFailed", f"The container {name} stopped: {message}")


def _fetch_failure(ended: Mapping[str, Any]) -> Failure:
    try:
        report = json.loads(ended.get("message") or "")
        return Failure(report["code"], report["message"], permanent=bool(report["permanent"]))
    except (ValueError, KeyError, TypeError):
        message = ended.get("message") or f"exit status {ended.get('exitCode')}"
        return Failure("FetchFailed", f"The model could not be fetched: {message}")


def _fetched(pods: Iterable[Pod]) -> Iterator[Mapping[str, Any]]:
    """
    Read what the finished fetches reported; what cannot be read says nothing.
    """
    for pod in pods:
        for container in _statuses(pod):
            ended = container.get("state", {}).get("terminated", {})
            if container["name"] != "fetch" or ended.get("exitCode") != 0:
                continue
            with suppress(ValueError):
                report = json.loads(ended.get("message") or "")
                if isinstance(report, dict):
                    yield report


def digest_of(pods: Iterable[Pod]) -> str | None:
    """
    Return the digest that a finished fetch reported, or None.
    """
    return next((str(report["digest"]) for report in _fetched(pods) if "digest" in report), None)


def warning_of(pods: Iterable[Pod]) -> Failure | None:
    """
    Return what a finished fetch found wrong with a version that it fetched all the same, or None.
    """
    told = (str(report["warning"]) for report in _fetched(pods) if "warning" in report)
    return next((Failure("SignatureIncompatible", warning) for warning in told), None)


def pool_of(
    deployment: Mapping[str, Any], pods: Iterable[Pod], load_errors: Mapping[str, str]
) -> Pool:
    """
    Sum up the pods of a revision.

    Args:
        deployment: The pool's Deployment.
        pods: Its pods.
        load_errors: Pod name to the error with which its server could not load the model.

    Returns:
        The pool; of several failures a permanent one is told first.

    """
    living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    unready = [pod for pod in living if not is_ready(pod)]
    failures = [failure_of(pod, load_errors.get(pod["metadata"]["name"])) for pod in unready]
    failures.append(_refused(deployment))
    known = sorted((f for f in failures if f), key=lambda failure: not failure.permanent)
    stages = [stage_of(pod) for pod in unready]
    return Pool(
        desired=deployment["spec"].get("replicas", 1),
        ready=len(living) - len(unready),
        failure=known[0] if known else None,
        stage=stages[0] if stages else "AwaitingPods",
        created=deployment.get("metadata", {}).get("creationTimestamp", ""),
        warning=warning_of(living),
    )


def _refused(deployment: Mapping[str, Any]) -> Failure | None:
    for condition in deployment.get("status", {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Failure(condition.get("reason", "ReplicaFailure"), condition.get("message", ""))
    return None
