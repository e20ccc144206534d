"""
The plan: every object that a decision asks for, in the order in which they are applied.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modeldeploy_operator.manifests import (
    autoscaler,
    check_jobs,
    encryption,
    names,
    pool,
    shadow,
    shared,
    watcher,
)
from modeldeploy_operator.manifests.cache import clearing
from modeldeploy_operator.manifests.cache.clearing import Clearing
from modeldeploy_operator.manifests.entrance import gateway, router, routing
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.template import Images, build_pod_template
from modeldeploy_operator.resource import revisions
from modeldeploy_operator.resource.latest.following import Following
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Revision
from modeldeploy_operator.rollout.snapshot import Snapshot

Manifest = dict[str, Any]
KEPT_REVISIONS = 10


@dataclass(frozen=True, slots=True)
class Kept:
    """
    A kept revision: its number in the order of first use, and what its ControllerRevision holds.
    """

    number: int
    version: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ground:
    """
    What a plan stands on besides the decision.

    Attributes:
        owner: The ModelDeployment.
        spec: What the user wrote.
        images: The operator's images.
        kept: Revision to its record, the wanted one included.
        digests: Revision to the digest of its model, once a pod has fetched it.
        generation: The number that the routing configuration has, or is to have.
        reach: By what clients can come in now.
        interfaces: Revision to what it is compared with, for those that are.
        following: The version that `latest` stands for; None where the spec names a version.
        clearing: What was seen of revisions that leave a cache.

    """

    owner: Owner
    spec: ModelDeploymentSpec
    images: Images
    kept: Mapping[str, Kept] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0
    reach: gateway.Reach = field(default_factory=gateway.Reach)
    interfaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    following: Following | None = None
    clearing: Clearing = field(default_factory=Clearing)


def complete(ground: Ground, wanted: Revision, decision: Decision, seen: Snapshot) -> Ground:
    """
    Add the records of the wanted revisions and the number of the routing configuration.

    A template is rendered only while it may still change what runs, and once a version is known.
    """
    kept = ground.kept
    known = ground.following is None or bool(ground.following.version)
    for spec in (*((ground.spec,) if known else ()), *revisions.also_specs(ground.spec)):
        revision = wanted if spec is ground.spec else revisions.revision_of(spec, ground.owner.name)
        if revision.revision not in kept or revision.revision not in ground.digests:
            data = {
                "version": revision.version,
                "ingredients": revisions.ingredients(spec, ground.owner.name),
                "template": build_pod_template(ground.owner, spec, revision, ground.images),
            }
            kept = keep(kept, revision, data, ground.digests)
    kept = _keep_shared(replace(ground, kept=kept), decision)
    generation = seen.generation_of(decision.routing)
    return replace(ground, kept=kept, generation=generation)


def _keep_shared(ground: Ground, decision: Decision) -> Mapping[str, Kept]:
    """
    Add the records of shared pods, which are made anew only while nothing ever ran in them.
    """
    kept = ground.kept
    for home in sorted(set(decision.shared.values())):
        living = [name for name, where in decision.shared.items() if where == home]
        ran = [home] if home in kept and any(name in ground.digests for name in living) else []
        template = shared.build_template(ground.owner, ground.spec, home, ground.images)
        kept = keep(kept, Revision(home, ""), {"version": "", "template": template}, ran)
    return kept


def keep(
    kept: Mapping[str, Kept], wanted: Revision, data: dict[str, Any], digests: Container[str]
) -> dict[str, Kept]:
    """
    Keep the record of the wanted revision, made anew only while it never ran.

    A revision has run when its model was fetched once, and `digests` has it then. Until that moment
    a wrong image in the operator's settings can be mended without another revision.

    >>> keep({}, Revision("r1", "1"), {"template": {}}, ())
    {'r1': Kept(number=1, version='1', data={'template': {}})}
    """
    record = kept.get(wanted.revision)
    if record is not None and (wanted.revision in digests or record.data == data):
        return dict(kept)
    number = 1 + max((record.number for record in kept.values()), default=0)
    return {**kept, wanted.revision: Kept(number, wanted.version, data)}


def build_plan(decision: Decision, ground: Ground) -> tuple[Manifest, ...]:
    """
    Build the whole set: routing before pools, so that traffic leaves before pods do.
    """
    owner = ground.owner
    manifests: list[Manifest] = []
    if decision.routing is not None:
        versions = {name: kept.version for name, kept in ground.kept.items()}
        model = ground.spec.model_name(owner.name)
        built = routing.build_routing(owner, model, decision.routing, ground.generation, versions)
        built = shared.lead(owner, built, decision.shared) if decision.shared else built
        manifests.append(encryption.lead(built, _encrypted(decision, ground)))
    manifests += _records(decision, ground)
    manifests += _pools(decision, ground)
    manifests += _shared(decision, ground)
    manifests += _optional(decision, ground)
    manifests += _entrance(decision, ground)
    manifests += check_jobs.build_jobs(
        owner,
        ground.spec,
        ground.images,
        decision.memory,
        decision.jobs,
        {name: record.data["template"] for name, record in ground.kept.items()},
    )
    return tuple(manifests)


def _encrypted(decision: Decision, ground: Ground) -> set[str]:
    """
    Find the revisions whose pods the routers are to ask over encrypted connections.
    """
    if ground.spec.traffic.tls is None or decision.routing is None:
        return set()
    homes = {name: decision.shared.get(name, name) for name in decision.routing.slots.values()}
    return {
        name
        for name, home in homes.items()
        if home in ground.kept and encryption.is_offered(ground.kept[home].data["template"])
    }


def _records(decision: Decision, ground: Ground) -> list[Manifest]:
    """
    Build the records of revisions, and the Jobs that remove from a cache what is kept no longer.
    """
    owner, seen = ground.owner, ground.clearing
    kept = _kept(decision, ground)
    templates = {name: record.data["template"] for name, record in ground.kept.items()}
    leaving = clearing.leaving(templates, kept, seen)
    manifests: list[Manifest] = []
    for revision in (*kept, *leaving):
        record = ground.kept[revision]
        manifests.append(
            pool.build_controller_revision(owner, revision, record.number, record.data)
        )
        if revision in ground.digests:
            manifests.append(pool.build_digest(owner, revision, ground.digests[revision]))
    return manifests + [
        clearing.build_job(owner, ground.images, revision, place)
        for revision, place in leaving.items()
        if revision not in seen.busy
    ]


def _pools(decision: Decision, ground: Ground) -> list[Manifest]:
    """
    Build the pods of each revision that has pods of its own, and what revisions are compared with.
    """
    owner = ground.owner
    manifests: list[Manifest] = []
    for revision, replicas in decision.pools.items():
        record = ground.kept[revision]
        if revision in ground.interfaces:
            manifests.append(pool.build_interface(owner, revision, ground.interfaces[revision]))
        if revision not in decision.shared:
            named = Revision(revision, record.version)
            manifests.append(pool.build_service(owner, revision))
            manifests.append(pool.build_deployment(owner, named, record.data["template"], replicas))
            name = owner.pool(revision)
            manifests.append(pool.build_budget(owner, name, names.SERVER, revision))
    return manifests


def _shared(decision: Decision, ground: Ground) -> list[Manifest]:
    """
    Build shared pods, as many as the revision in them asks for that asks for most.
    """
    owner = ground.owner
    manifests: list[Manifest] = []
    known = (ground.digests, ground.interfaces)
    for home in sorted(set(decision.shared.values())):
        living = sorted(name for name, where in decision.shared.items() if where == home)
        entries = [shared.Listed(name, ground.kept[name].version) for name in living]
        size = max(decision.pools[name] for name in living)
        template = ground.kept[home].data["template"]
        manifests.append(shared.build_list(owner, ground.spec, home, entries, known))
        manifests += shared.build_objects(owner, home, template, size)
    return manifests


def _optional(decision: Decision, ground: Ground) -> list[Manifest]:
    """
    Build what only some specs ask for, each in one object.
    """
    owner, spec = ground.owner, ground.spec
    manifests: list[Manifest] = []
    if decision.preview is not None:
        manifests.append(pool.build_preview(owner, decision.preview))
    if spec.autoscaling:
        manifests.append(autoscaler.build_autoscaler(owner, spec.autoscaling))
    if ground.following is not None:
        manifests.append(watcher.build_watcher(owner, spec, ground.images))
    return manifests


def _entrance(decision: Decision, ground: Ground) -> list[Manifest]:
    """
    Build what clients come in by: the routers, the routes of a Gateway, or both.

    Where one takes over from the other both are there, and the routes do without the routers.
    """
    owner, traffic, reach = ground.owner, ground.spec.traffic, ground.reach
    manifests: list[Manifest] = []
    if traffic.routed or reach.changing:
        manifests += router.build_access(owner)
        manifests.append(router.build_client_service(owner, traffic))
        manifests.append(router.build_deployment(owner, traffic, ground.images))
        manifests.append(pool.build_budget(owner, owner.router, names.ROUTER))
    shares = decision.routing if reach.changing or not traffic.routed else None
    if traffic.gateway and reach.routable and (traffic.routed or shares):
        manifests += gateway.build_routes(owner, traffic.gateway, shares, ground.generation)
    return manifests


def needs_token(owner: Owner, manifests: Iterable[Manifest]) -> bool:
    """
    Tell whether pods of the plan have a control port, whose secret must be there before them.
    """
    return any(
        manifest["kind"] == "Deployment" and shadow.is_told(manifest["spec"]["template"], owner)
        for manifest in manifests
    )


def _kept(decision: Decision, ground: Ground) -> list[str]:
    """
    Keep the revisions in use and the newest of the others, ten in all where those are fewer.
    """
    newest_first = sorted(ground.kept, key=lambda name: -ground.kept[name].number)
    used = {*decision.pools, *decision.shared.values()}
    in_use = [name for name in newest_first if name in used]
    others = [n for n in newest_first if n not in used and not shared.is_shared(n)]
    return (in_use + others)[: max(KEPT_REVISIONS, len(in_use))]
