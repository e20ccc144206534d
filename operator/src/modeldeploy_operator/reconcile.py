"""
The pass: read the spec, observe, decide, report, apply. It reads like a table of contents.

The status is written before the effects, and carries the resourceVersion that was read: of two
operators that overlap, the late one fails there, before it has done anything.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modeldeploy_operator.cluster.apply import Applier
from modeldeploy_operator.cluster.observe import Observation, observe
from modeldeploy_operator.cluster.port import (
    GoneError,
    Kube,
    Manifest,
    NameTakenError,
    Resource,
)
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.manifests import names, plan
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.plan import Ground, Kept
from modeldeploy_operator.manifests.template import Images, build_pod_template
from modeldeploy_operator.resource import (
    ACTION_ANNOTATION,
    API_VERSION,
    KIND,
    PLURAL,
    report,
    revisions,
)
from modeldeploy_operator.resource.parts import seconds
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.resource.status import load_memory
from modeldeploy_operator.rollout.decide import decide
from modeldeploy_operator.rollout.decision import Decision, Note, Wanted
from modeldeploy_operator.telemetry.events import Recorder
from modeldeploy_operator.telemetry.metrics import Metrics

MODEL_DEPLOYMENTS = Resource(API_VERSION, KIND, PLURAL)


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


async def reconcile(tools: Tools, namespace: str, name: str) -> datetime | None:
    """
    Bring one ModelDeployment one step nearer to what is wanted.

    Returns:
        When to look again, or None if nothing is under way or the object is gone.

    Raises:
        ClusterError: The API server refused or could not be reached; try again.

    """
    try:
        body = await tools.kube.get(MODEL_DEPLOYMENTS.path(namespace, name))
    except GoneError:
        tools.metrics.forget(namespace, name)
        return None
    if body["metadata"].get("deletionTimestamp"):
        return None
    owner = Owner(name, namespace, body["metadata"]["uid"])
    spec = ModelDeploymentSpec.model_validate(body["spec"])
    wanted = read_wanted(body, spec)
    observed = await observe(tools.kube, tools.probe, owner, spec.model_name(name))
    now = datetime.now(UTC)
    decision = decide(wanted, load_memory(body.get("status") or {}), observed.seen, now)
    ground = _ground(tools.images, owner, spec, wanted, (decision, observed))
    manifests = plan.build_plan(decision, ground)
    taken = await tools.applier.find_taken(owner, manifests, observed.children)
    status = _status(body, (decision, wanted, observed), now)
    if taken:
        before = body.get("status") or {}
        status = report.with_stalled(status, "NameTaken", taken, before, now)
        await _refuse(tools, body, status)
        raise NameTakenError(taken)
    body = await _write_status(tools, body, status)
    await tools.applier.apply(owner, manifests, observed.children)
    await tools.recorder.tell(body, decision.notes)
    tools.metrics.observe(namespace, name, decision)
    return decision.look_again_at


def read_wanted(body: Manifest, spec: ModelDeploymentSpec) -> Wanted:
    """
    Read what a rollout must know of the object.
    """
    return Wanted(
        revision=revisions.revision_of(spec, body["metadata"]["name"]),
        replicas=spec.replicas,
        steps=spec.rollout_steps(),
        progress_deadline=seconds(spec.rollout.progress_deadline),
        paused=spec.rollout.paused,
        action=(body["metadata"].get("annotations") or {}).get(ACTION_ANNOTATION, ""),
    )


def _ground(
    images: Images,
    owner: Owner,
    spec: ModelDeploymentSpec,
    wanted: Wanted,
    found: tuple[Decision, Observation],
) -> Ground:
    """
    Collect what the plan stands on; a revision's template is rendered once and then kept.
    """
    decision, observed = found
    kept = dict(observed.kept)
    revision = wanted.revision
    if revision.revision not in kept:
        number = 1 + max((record.number for record in kept.values()), default=0)
        data: dict[str, Any] = {
            "version": revision.version,
            "ingredients": revisions.ingredients(spec, owner.name),
            "template": build_pod_template(owner, spec, revision, images),
        }
        kept[revision.revision] = Kept(number, revision.version, data)
    seen = observed.seen
    changed = decision.routing != seen.routing
    return Ground(
        owner=owner,
        spec=spec,
        images=images,
        kept=kept,
        digests=observed.digests,
        generation=seen.next_generation if changed else seen.generation,
    )


def _status(
    body: Manifest, about: tuple[Decision, Wanted, Observation], now: datetime
) -> dict[str, Any]:
    decision, wanted, observed = about
    metadata = body["metadata"]
    before = body.get("status") or {}
    facts = {
        "generation": metadata["generation"],
        "selector": Owner(metadata["name"], metadata["namespace"], "").server_selector_text(),
        "url": f"http://{metadata['name']}.{metadata['namespace']}.svc:{names.REST_PORT}",
        "now": now,
    }
    return report.build_status(decision, wanted, observed.seen, before, facts)


async def _write_status(tools: Tools, body: Manifest, status: dict[str, Any]) -> Manifest:
    """
    Write the status if it changed; a write in between is a conflict.
    """
    if status == (body.get("status") or {}):
        return body
    metadata = body["metadata"]
    path = MODEL_DEPLOYMENTS.path(metadata["namespace"], metadata["name"])
    return await tools.kube.send("PUT", f"{path}/status", {**body, "status": status})


async def _refuse(tools: Tools, body: Manifest, status: dict[str, Any]) -> None:
    """
    Say that a name is taken, and do nothing else.
    """
    body = await _write_status(tools, body, status)
    stalled = next(c for c in status["conditions"] if c["type"] == "Stalled")
    note = Note(stalled["reason"], stalled["message"], warning=True)
    await tools.recorder.tell(body, (note,))
