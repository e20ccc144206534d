"""
Learning the interface that a new canary is to be compared with, from stable's metadata route.

It is read once, before the canary's first pod, and stands in a ConfigMap from then on. An interface
that cannot be read is waived and told: progress never depends on the health of stable.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from modeldeploy_operator.cluster.observe import Observation
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.pool import METADATA, UNCHECKED, WAIVED
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.decision import Decision, Note
from modeldeploy_operator.rollout.memory import Revision

ASKED, TRIES = 3, 3
"""So many pods of stable are asked at once, and so often."""


async def learn(
    probe: Probe, owner: Owner, spec: ModelDeploymentSpec, decision: Decision, observed: Observation
) -> tuple[Mapping[str, Mapping[str, str]], Decision]:
    """
    Return what revisions are compared with, a canary's that begins included.

    Returns:
        Revision to the data of its ConfigMap; and the decision, which also tells of a waiver.

    """
    stable, canary = decision.memory.stable, _beginning(owner, spec, decision, observed)
    if canary is None or stable is None:
        return observed.interfaces, decision
    addresses = observed.addresses.get(stable.revision, ())
    told = await _ask(probe, addresses[:ASKED], spec.model_name(owner.name), stable.version)
    if told is not None:
        return {**observed.interfaces, canary.revision: {METADATA: told}}, decision
    why = "its pods do not tell it" if addresses else "it has no ready pod"
    sentence = (
        f"Version {canary.version} is not compared with what clients of the stable version "
        f"{stable.version} know: {why}."
    )
    notes = (*decision.notes, Note(UNCHECKED, sentence, warning=True))
    waived = {**observed.interfaces, canary.revision: {WAIVED: sentence}}
    return waived, replace(decision, notes=notes)


def _beginning(
    owner: Owner, spec: ModelDeploymentSpec, decision: Decision, observed: Observation
) -> Revision | None:
    """
    Find the canary whose pods are made in this pass; an undo goes back by a person's order.
    """
    canary = decision.memory.canary
    if canary is None or canary.withdrawal or decision.memory.undo:
        return None
    name = canary.revision.revision
    exists = ("Deployment", owner.pool(name)) in observed.children
    if exists or name in observed.interfaces or spec.model.signatures.compatibility == "Off":
        return None
    return canary.revision


async def _ask(probe: Probe, addresses: tuple[str, ...], model: str, version: str) -> str | None:
    for _ in range(TRIES):
        answers = await asyncio.gather(*(probe.metadata(a, model, version) for a in addresses))
        told = next(filter(None, answers), None)
        if told:
            return told
    return None
