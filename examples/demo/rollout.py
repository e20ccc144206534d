"""
Following a rollout in the terminal.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from clients import Clients

from cluster import DemoError, kubectl, say

POLL_SECONDS = 0.5
LONGEST_SECONDS = 420


@dataclass
class Step:
    """
    What was counted while one weight was effective.
    """

    title: str
    weight: str
    pods: int
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {"rest": Counter(), "grpc": Counter()}
    )


def follow(name: str, *, until_version: str, clients: Clients | None = None) -> list[Step]:
    """
    Print what changes until a version is stable and nothing is under way.

    Returns:
        The steps, with what the clients counted in each.

    Raises:
        DemoError: The rollout stalled, or took too long.

    """
    steps: list[Step] = []
    told = ""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        body = json.loads(kubectl("get", "modeldeployment", name, "--output=json"))
        status = body["status"]
        conditions = {c["type"]: c for c in status.get("conditions", [])}
        if "Stalled" in conditions and status["observedGeneration"] > 0:
            raise DemoError(conditions["Stalled"]["message"])
        _count(steps, status, clients)
        line = _line(status, conditions)
        if line != told:
            say(f"  {line}")
            told = line
        if _is_done(body, until_version):
            _count(steps, status, clients)
            return steps
        time.sleep(POLL_SECONDS)
    raise DemoError(f"{name} was not stable at version {until_version} in time; last: {told}")


def _is_done(body: dict[str, Any], version: str) -> bool:
    status = body["status"]
    kinds = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return (
        status["observedGeneration"] == body["metadata"]["generation"]
        and (status.get("stable") or {}).get("version") == version
        and "Reconciling" not in kinds
        and kinds.get("Ready") == "True"
    )


def _line(status: dict[str, Any], conditions: dict[str, Any]) -> str:
    canary = status.get("canary")
    why = conditions.get("Reconciling", conditions.get("Promoted", {}))
    message = str(why.get("message", "Nothing was seen yet."))
    if not canary:
        return message
    weight = canary["weight"]
    pods = f"{canary['readyReplicas']}/{canary['replicas']} canary pods"
    return f"step {canary['step']}/{canary['steps']}, {weight['effective']:>4}, {pods}: {message}"


def _count(steps: list[Step], status: dict[str, Any], clients: Clients | None) -> None:
    """
    Put what was counted since the last look under the weight that was effective then.
    """
    if clients is None:
        return
    counts = clients.take()
    if steps:
        for protocol, counted in counts.items():
            steps[-1].counts[protocol].update(counted)
    canary = status.get("canary")
    if canary:
        title, weight = f"{canary['step']}/{canary['steps']}", canary["weight"]["effective"]
        pods = int(canary["replicas"])
    else:
        title, weight = ("done", "100%") if steps else ("-", "0%")
        pods = int((status.get("stable") or {}).get("replicas", 0)) if steps else 0
    if steps and (steps[-1].title, steps[-1].weight) == (title, weight):
        steps[-1].pods = max(steps[-1].pods, pods)
        return
    steps.append(Step(title, weight, pods))
