"""
What others say of a canary: put together from Jobs that were seen and answers that came meanwhile.
"""

from modeldeploy_operator.analysis.external import Measurement
from modeldeploy_operator.cluster.observe import Observation
from modeldeploy_operator.evidence.external import jobs
from modeldeploy_operator.evidence.external.measuring import About, Measurer, questions
from modeldeploy_operator.rollout.snapshot import Snapshot


def measured(
    measurer: Measurer, about: About, observed: Observation, seen: Snapshot
) -> dict[str, Measurement]:
    """
    Return what was measured, and see to it that what is due is asked.
    """
    canary = about.memory.canary
    revision = canary.revision.revision if canary else ""
    made = [child for (kind, _), child in observed.children.items() if kind == "Job"]
    parts = about.spec.rollout.external_parts()
    key = (about.owner.namespace, about.owner.name)
    return {
        **jobs.measure(revision, made, observed.checking, parts),
        **measurer.collect(key, questions(about, seen)),
    }
