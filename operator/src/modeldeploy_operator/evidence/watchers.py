"""
The watcher of a ModelDeployment that follows the latest version: what it found, or why it cannot.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modeldeploy_operator.evidence import pods
from modeldeploy_operator.evidence.pods import Pod
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.resource.latest.findings import Findings

SILENT = Findings(code="WatcherUnready", message="The watcher pod does not answer yet.")


async def ask(probe: Probe, found: Sequence[Pod]) -> Findings:
    """
    Ask the watcher's pods what they found; the first that answers counts.
    """
    for pod in found:
        address = pod.get("status", {}).get("podIP")
        answer = await probe.findings(address) if address else None
        if answer is not None:
            return findings_of(answer)
    failures = [failure for pod in found if (failure := pods.failure_of(pod))]
    if failures:
        why = f"The watcher pod is not ready: {failures[0].message}"
        return Findings(code="WatcherUnready", message=why)
    return SILENT


def findings_of(answer: Mapping[str, Any]) -> Findings:
    """
    Read a watcher's answer; one that is not in our form found nothing.
    """
    try:
        problem = answer["problem"] or {"code": "", "message": ""}
        looked = bool(answer["looked"])
        if not looked and not problem["code"]:
            return SILENT
        return Findings(
            looked=looked,
            complete=tuple(str(version) for version in answer["complete"]),
            incomplete=tuple(
                (str(one["version"]), str(one["message"])) for one in answer["incomplete"]
            ),
            code=str(problem["code"]),
            message=str(problem["message"]),
        )
    except (KeyError, TypeError):
        return SILENT
