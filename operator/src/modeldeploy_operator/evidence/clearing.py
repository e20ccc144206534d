"""
Revisions that leave a cache: which still have pods, and what the Jobs came to. A pure module.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from modeldeploy_operator.evidence.external import jobs
from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.cache.clearing import Clearing

Manifest = Mapping[str, Any]


def read(children: Iterable[Manifest], pods: Iterable[Manifest], busy: Iterable[str]) -> Clearing:
    """
    Tell what the Jobs that remove folders came to.

    Args:
        children: The objects of a ModelDeployment.
        pods: The pods, those of the Jobs among them.
        busy: The revisions that have pods, those included that are to end.

    """
    own = list(pods)
    ended = {}
    for job in children:
        labels = job["metadata"].get("labels", {})
        if job["kind"] != "Job" or labels.get(names.COMPONENT_LABEL) != names.CACHE:
            continue
        stands = jobs.conditions(job)
        if failure := stands.get("Failed"):
            said = jobs.last_words([pod for pod in own if jobs.is_of(pod, job)])
            ended[labels[names.REVISION_LABEL]] = said or failure.get("message") or "It failed."
        elif "Complete" in stands:
            ended[labels[names.REVISION_LABEL]] = ""
    return Clearing(frozenset(busy), ended)
