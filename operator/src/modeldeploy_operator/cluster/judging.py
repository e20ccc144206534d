"""
What a canary is judged by: what was counted, what Jobs said, and answers that came meanwhile.
"""

from collections.abc import Mapping
from dataclasses import replace

from modeldeploy_operator.analysis.external import Measurement
from modeldeploy_operator.cluster.observe import Observation
from modeldeploy_operator.evidence.external import jobs
from modeldeploy_operator.evidence.external.measuring import About, Measurer, questions
from modeldeploy_operator.evidence.looks import Looks
from modeldeploy_operator.rollout.snapshot import Snapshot


def see(
    looks: Looks,
    measurer: Measurer,
    about: About,
    observed: Observation,
    unknown: Mapping[str, str],
) -> Snapshot:
    """
    Add to what was seen how canary and stable did, and what others say.

    Args:
        looks: What was counted before.
        measurer: Who asks others.
        about: The rollout.
        observed: What was seen.
        unknown: Kind of check to why it cannot be measured.

    """
    key = (about.owner.namespace, about.owner.name)
    wanted, memory, now = about.wanted, about.memory, about.now
    evidence = looks.evidence(key, observed.look, wanted, memory, unknown)
    shares = looks.shares(key, observed.routed, wanted, memory, now)
    seen = replace(observed.seen, evidence=evidence, shares=shares)
    return replace(seen, measured=measured(measurer, about, observed, seen))


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
