"""
Shared pods: which of the versions on their list each of them serves, and why not. A pure module.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modeldeploy_operator.evidence import pods
from modeldeploy_operator.rollout.snapshot import Failure, Pool

Pod = Mapping[str, Any]

AVAILABLE, END = "AVAILABLE", "END"
FETCHED = "Fetched"
_FIRST_DERIVED = 1 << 62
NO_MEMORY = 8
"""The canonical code RESOURCE_EXHAUSTED."""


@dataclass(frozen=True, slots=True)
class State:
    """
    What a server says of one version: its state, and the code and message of its error.
    """

    state: str
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """
    What a pod says: its server of each version, and its follower of what it fetched and holds.
    """

    states: Mapping[str, State] = field(default_factory=dict)
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    held: frozenset[str] = frozenset()

    def knows(self, version: str) -> bool:
        """
        Tell whether a version is in the pod, or leaves a trace there.
        """
        state = self.states.get(_number(version))
        serves = state is not None and state.state != END
        return serves or version in self.held or version in self.reports

    def has_read(self, versions: Iterable[str]) -> bool:
        """
        Tell whether the follower knows of all these versions, and of no others.
        """
        return self.held | self.reports.keys() == set(versions)


SILENT = Told()


def read(status: Mapping[str, Any] | None, followed: Mapping[str, Any] | None) -> Told:
    """
    Read what the server and the follower of a pod answered.
    """
    try:
        found = (status or {}).get("model_version_status", [])
        states = {str(item["version"]): _state(item) for item in found}
        reports = {str(k): dict(v) for k, v in (followed or {}).get("versions", {}).items()}
        held = frozenset(map(str, (followed or {}).get("held", [])))
    except (AttributeError, KeyError, TypeError, ValueError):
        return SILENT
    return Told(states, reports, held)


def _state(item: Mapping[str, Any]) -> State:
    status = item["status"]
    return State(item["state"], str(status["error_code"]), str(status["error_message"]))


def pool_of(
    deployment: Mapping[str, Any], version: str, found: Sequence[tuple[Pod, Told]], *, listed: bool
) -> Pool:
    """
    Sum up what the pods are at with one version.

    Args:
        deployment: The Deployment of the pods.
        version: The version.
        found: The pods, and what each says.
        listed: Whether the version is to be there; else it is on its way out.

    """
    metadata = deployment["metadata"]
    if not listed:
        return Pool(0, 0, shared=_home(deployment))
    lacking = [(pod, told) for pod, told in found if not serves(pod, told, version)]
    failures = [failure for pod, told in lacking if (failure := _failure(pod, told, version))]
    failures.sort(key=lambda failure: not failure.permanent)
    stages = [_stage(pod, told, version) for pod, told in lacking]
    return Pool(
        desired=deployment["spec"].get("replicas", 1),
        ready=len(found) - len(lacking),
        failure=failures[0] if failures else None,
        stage=stages[0] if stages else "AwaitingPods",
        warning=_warning(version, found),
        created=metadata.get("creationTimestamp", ""),
        shared=_home(deployment),
    )


def _home(deployment: Mapping[str, Any]) -> str:
    labels: Mapping[str, str] = deployment["metadata"]["labels"]
    return labels["serving.modeldeploy.io/revision"]


def serves(pod: Pod, told: Told, version: str) -> bool:
    """
    Tell whether a pod is ready and has a version available.
    """
    state = told.states.get(_number(version))
    return pods.is_ready(pod) and state is not None and state.state == AVAILABLE


def _plain(version: str) -> str:
    """
    Leave out leading zeros, as the server tells numbers.
    """
    return str(int(version)) if version.isdecimal() else version


def _number(version: str) -> str:
    """
    Return the number by which a server's status names a version; a name has one of its own.
    """
    if version.isdecimal():
        return _plain(version)
    digest = hashlib.sha256(version.encode()).digest()
    return str(_FIRST_DERIVED + int.from_bytes(digest[:8], "big") % _FIRST_DERIVED)


def _failure(pod: Pod, told: Told, version: str) -> Failure | None:
    state, report = told.states.get(_number(version)), told.reports.get(version, {})
    if report and report.get("code") != FETCHED:
        permanent = bool(report.get("permanent"))
        return Failure(str(report.get("code")), str(report.get("message", "")), permanent=permanent)
    if state is not None and state.state == END and state.code not in ("", "OK", "0"):
        said = " ".join(state.message.split())
        if state.code in ("RESOURCE_EXHAUSTED", str(NO_MEMORY)):
            why = f"Both versions do not fit the pods' memory: {said}"
            return Failure("OutOfMemory", why, permanent=True)
        return Failure("ModelUnusable", f"The model cannot be loaded: {said}", permanent=True)
    return None if pods.is_ready(pod) else pods.failure_of(pod)


def _stage(pod: Pod, told: Told, version: str) -> str:
    stage = pods.stage_of(pod)
    if stage != "LoadingModel" and not pods.is_ready(pod):
        return stage
    return "LoadingModel" if version in told.held else "FetchingModel"


def _warning(version: str, found: Iterable[tuple[Pod, Told]]) -> Failure | None:
    for _, told in found:
        if warning := told.reports.get(version, {}).get("warning"):
            return Failure("SignatureIncompatible", str(warning))
    return None


def digest_of(version: str, found: Iterable[tuple[Pod, Told]]) -> str | None:
    """
    Return the digest with which a pod fetched a version, or None.
    """
    for _, told in found:
        report = told.reports.get(version, {})
        if report.get("code") == FETCHED and report.get("digest"):
            return str(report["digest"])
    return None


def only(metrics: str, version: str) -> str:
    r"""
    Leave out of a pod's metrics what it counted for other versions.

    >>> only('a{version="1"} 5\na{version="2"} 7\nb 1', "2")
    'a{version="2"} 7\nb 1'
    """
    mark = f'version="{_plain(version)}"'
    return "\n".join(
        line for line in metrics.splitlines() if "version=" not in line or mark in line
    )
