"""
The pass: read the spec, observe, decide, report, apply. It reads like a table of contents.

The status is written before the effects, and carries the resourceVersion that was read: of two
operators that overlap, the late one fails there, before it has done anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pydantic

from modeldeploy_operator.cluster.apply import Applier, Key
from modeldeploy_operator.cluster.interfaces import learn
from modeldeploy_operator.cluster.judging import see
from modeldeploy_operator.cluster.observe import observe
from modeldeploy_operator.cluster.port import (
    GoneError,
    Kube,
    Manifest,
    NameTakenError,
    ObjectGoneError,
)
from modeldeploy_operator.cluster.shadowing import Shadowing
from modeldeploy_operator.evidence.external.measuring import About, Measurer
from modeldeploy_operator.evidence.looks import Looks, due
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.manifests import plan
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.plan import Ground
from modeldeploy_operator.manifests.template import Images
from modeldeploy_operator.resource.latest.following import follow
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.resource.status import load_memory
from modeldeploy_operator.resource.wanted import read_wanted
from modeldeploy_operator.rollout.decide import decide
from modeldeploy_operator.rollout.decision import Note
from modeldeploy_operator.telemetry import search
from modeldeploy_operator.telemetry import status as reporting
from modeldeploy_operator.telemetry.events import Recorder
from modeldeploy_operator.telemetry.metrics import Metrics

NAME_TAKEN = "NameTaken"


@dataclass(frozen=True, slots=True)
class Tools:
    """
    What a pass works with.
    """

    kube: Kube
    probe: Probe
    applier: Applier
    recorder: Recorder
    metrics: Metrics
    images: Images
    looks: Looks
    shadowing: Shadowing
    measurer: Measurer


async def reconcile(tools: Tools, namespace: str, name: str) -> datetime | None:
    """
    Bring one ModelDeployment one step nearer to what is wanted.

    Returns:
        When to look again, or None if nothing is under way.

    Raises:
        ObjectGoneError: There is no such object.
        ClusterError: The API server refused or could not be reached; try again.

    """
    body = await _read(tools, namespace, name)
    metadata = body["metadata"]
    if metadata.get("deletionTimestamp"):
        return None
    owner = Owner(name, namespace, metadata["uid"], metadata["creationTimestamp"])
    try:
        spec = ModelDeploymentSpec.model_validate(body["spec"])
    except pydantic.ValidationError as error:
        await reporting.refuse_spec(tools.kube, tools.recorder, body, error)
        return None
    memory, now = load_memory(body.get("status") or {}), datetime.now(UTC)
    spec, following = follow(spec, name, body.get("status") or {}, memory)
    wanted = read_wanted(body, spec, following)
    observed = await observe(tools.kube, tools.probe, owner, spec, due(wanted, memory, now), now)
    about = About(owner, spec, wanted, memory, now)
    seen = see(tools.looks, tools.measurer, about, observed, tools.shadowing.problems(owner))
    decision = decide(wanted, memory, seen, now)
    interfaces, decision = await learn(tools.probe, owner, spec, decision, observed)
    records = (observed.kept, observed.digests, 0, observed.reach, interfaces, following)
    ground = Ground(owner, spec, tools.images, *records, observed.clearing)
    manifests = plan.build_plan(decision, plan.complete(ground, wanted.revision, decision, seen))
    trouble = await _find_trouble(tools, owner, manifests, observed.children)
    status = reporting.status_of(body, decision, wanted, seen, now, trouble)
    status, found, later = search.tell(status, body, following, observed.findings, now)
    body = await reporting.write_status(tools.kube, body, status)
    tools.metrics.finished(namespace, name, memory.history, decision.memory.history)
    tools.looks.keep((namespace, name), observed.look)
    if trouble:
        await tools.recorder.tell(body, (trouble,))
    if trouble and trouble.reason == NAME_TAKEN:
        raise NameTakenError(trouble.message)
    await tools.recorder.tell(body, (*decision.notes, *found, *observed.clearing.notes(owner)))
    await tools.shadowing.prepare(owner, manifests, observed)
    await tools.applier.apply(owner, manifests, observed.children)
    await tools.applier.mark(owner, observed.marks)
    await tools.shadowing.follow(owner, spec.model_name(name), wanted, decision.memory, observed)
    tools.metrics.observe(namespace, name, decision)
    return now if trouble else search.earlier(decision.look_again_at, later)


async def _read(tools: Tools, namespace: str, name: str) -> Manifest:
    """
    Read the object; one that is gone is forgotten.
    """
    try:
        return await tools.kube.get(reporting.MODEL_DEPLOYMENTS.path(namespace, name))
    except GoneError as gone:
        tools.metrics.forget(namespace, name)
        tools.applier.forget(namespace, name)
        tools.looks.forget((namespace, name))
        tools.shadowing.forget(namespace, name)
        tools.measurer.forget((namespace, name))
        raise ObjectGoneError(str(gone)) from gone


async def _find_trouble(
    tools: Tools,
    owner: Owner,
    manifests: tuple[Manifest, ...],
    children: Mapping[Key, Manifest],
) -> Note | None:
    """
    Find what a person must mend: a name that is taken, or what was refused at the last apply.
    """
    taken = await tools.applier.find_taken(owner, manifests, children)
    if taken:
        return Note(NAME_TAKEN, taken, warning=True)
    refused = tools.applier.refusal(owner)
    return Note("ApplyRefused", refused, warning=True) if refused else None
