"""
Looking: what routers and serving pods have counted.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modeldeploy_operator.analysis.checks import Check
from modeldeploy_operator.cluster.port import Manifest
from modeldeploy_operator.evidence import counters, pods, shadows, shared
from modeldeploy_operator.evidence.counters import Counters, Instance, Look
from modeldeploy_operator.evidence.probe import Probe


def ready(by_revision: Mapping[str, list[Manifest]]) -> list[tuple[str, str, str]]:
    """
    List the ready serving pods: name, revision, address.
    """
    return [
        (pod["metadata"]["name"], revision, pod["status"]["podIP"])
        for revision, found in by_revision.items()
        for pod in found
        if pods.is_ready(pod) and pod["status"].get("podIP")
    ]


def routed(router_pods: Iterable[Manifest], asked: Iterable[Mapping[str, Any] | None]) -> Look:
    """
    Read what the routers have counted.
    """
    counts: dict[Instance, Counters] = {}
    for pod, status in zip(router_pods, asked, strict=True):
        counts |= counters.of_router(pod["metadata"]["name"], status)
    return Look(counts)


async def look(
    probe: Probe,
    by_routers: Look,
    counted: tuple[Mapping[str, list[Manifest]], Mapping[str, str]],
    checks: Sequence[Check],
    *,
    alone: bool,
) -> Look:
    """
    Add to what the routers have counted what every ready serving pod has.

    Where there are no routers a pod counts alone: its own requests and all its faults.

    Args:
        probe: Asks pods.
        by_routers: What routers have counted.
        counted: The pods by revision; and the version of each revision that shares its pods.
        checks: What is to be judged.
        alone: Whether there are no routers.

    """
    counts: dict[Instance, Counters] = dict(by_routers.counts)
    vague: dict[str, str] = {}
    by_revision, versions = counted
    found = ready(by_revision)
    limits = counters.limits_of(checks)
    texts = await asyncio.gather(*(probe.metrics(address) for _, _, address in found))
    silent = False
    for (name, revision, _), text in zip(found, texts, strict=True):
        own = shared.only(text, versions[revision]) if revision in versions else text
        told, unknown = counters.of_pod(name, revision, own, limits, routed=not alone)
        counts |= told
        vague |= unknown
        counts |= shadows.of_pod(name, text)
        silent = silent or not told
    return Look(counts, vague, silent)
