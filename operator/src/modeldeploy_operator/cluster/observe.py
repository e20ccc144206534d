"""
Observing: everything that a pass looks at, read once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from modeldeploy_operator.analysis.checks import Check
from modeldeploy_operator.cluster import looking, sharing
from modeldeploy_operator.cluster.apply import PODS, RESOURCES, ROUTES, Key, key_of
from modeldeploy_operator.cluster.port import GoneError, Kube, Manifest, Resource
from modeldeploy_operator.evidence import clearing, pods, routers, watchers
from modeldeploy_operator.evidence.counters import Look
from modeldeploy_operator.evidence.gateway import carried, is_changing
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.cache.clearing import Clearing
from modeldeploy_operator.manifests.entrance.gateway import Reach
from modeldeploy_operator.manifests.entrance.routing import parse_routing
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.plan import Kept
from modeldeploy_operator.manifests.pool import UNCHECKED, WAIVED
from modeldeploy_operator.manifests.shared import is_shared
from modeldeploy_operator.resource.latest.findings import Findings
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.snapshot import Failure, Pool, Snapshot


@dataclass(frozen=True, slots=True)
class Observation:
    """
    What was seen: the snapshot for the decision, and the objects for the apply.
    """

    seen: Snapshot
    children: Mapping[Key, Manifest]
    kept: Mapping[str, Kept]
    digests: Mapping[str, str]
    interfaces: Mapping[str, Mapping[str, str]]
    addresses: Mapping[str, tuple[str, ...]]
    routed: Look
    look: Look | None = None
    checking: Sequence[Manifest] = ()
    reach: Reach = field(default_factory=Reach)
    findings: Findings = watchers.SILENT
    clearing: Clearing = field(default_factory=Clearing)
    marks: Sequence[Manifest] = ()


async def observe(
    kube: Kube,
    probe: Probe,
    owner: Owner,
    spec: ModelDeploymentSpec,
    checks: Sequence[Check],
    now: datetime,
) -> Observation:
    """
    Read the children and the pods of a ModelDeployment, and ask the routers, or else the Gateways.

    With checks, what serving pods have counted is read, too; it stands alone where no routers are.

    Raises:
        ClusterError: The API server refused or could not be reached.

    """
    own, found, routable = await _all(kube, owner)
    children = {key_of(item): item for item in own}
    # Pods of a deleted object of the same name may still be about; they are not ours.
    living = [pod for pod in found if pod["metadata"]["creationTimestamp"] >= owner.created]
    by_revision, router_pods = _sort(living)
    deployments = _deployments(own)
    kept = _kept(children, deployments)
    houses = (deployments, sharing.apart(by_revision))
    inside = await sharing.ask(probe, owner, spec, houses, (children, kept), now)
    errors = await _load_errors(probe, spec.model_name(owner.name), by_revision, kept)
    asked = await asyncio.gather(*(probe.router_status(p["status"]["podIP"]) for p in router_pods))
    generation, routing = parse_routing(children.get(("ConfigMap", owner.routing), {})) or (0, None)
    interfaces = _interfaces(owner, children)
    seen = Snapshot(
        pools=_pools(deployments, by_revision, errors, interfaces) | inside.pools,
        routing=routing,
        generation=generation,
        routers=tuple(routers.router_of(answer) for answer in asked),
        router_failure=_router_failure(living),
        kept={name: record.version for name, record in kept.items() if not is_shared(name)},
        moulds=sharing.moulds(kept),
    )
    by_revision.update(inside.serving)
    seen = carried(seen, owner, spec.traffic, (children, routable, by_revision), now)
    told = await watchers.ask(probe, _those(living, names.WATCHER))
    digests = inside.digests | _digests(owner, children, by_revision, kept)
    routed, of = looking.routed(router_pods, asked), (by_revision, inside.versions)
    alone = not spec.traffic.routed
    look = await looking.look(probe, routed, of, checks, alone=alone) if checks else None
    seen_so = (seen, children, kept, digests, interfaces, _addresses(by_revision), routed, look)
    reach = Reach(routable, is_changing(owner, spec.traffic, children, seen))
    cleared = clearing.read(own, living, by_revision)
    return Observation(*seen_so, _those(living, names.CHECK), reach, told, cleared, inside.marks)


def _deployments(own: Iterable[Manifest]) -> dict[str, Manifest]:
    return {
        item["metadata"]["labels"][names.REVISION_LABEL]: item
        for item in own
        if item["kind"] == "Deployment" and names.REVISION_LABEL in item["metadata"]["labels"]
    }


def _those(found: Iterable[Manifest], component: str) -> list[Manifest]:
    return [
        pod for pod in found if pod["metadata"]["labels"].get(names.COMPONENT_LABEL) == component
    ]


def _interfaces(owner: Owner, children: Mapping[Key, Manifest]) -> dict[str, Mapping[str, str]]:
    """
    Find what revisions are compared with.
    """
    revisions = {
        item["metadata"]["labels"].get(names.REVISION_LABEL, "") for item in children.values()
    }
    found = {name: children.get(("ConfigMap", owner.interface(name))) for name in revisions}
    return {name: item["data"] for name, item in found.items() if item}


def _pools(
    deployments: Mapping[str, Manifest],
    by_revision: Mapping[str, list[Manifest]],
    errors: Mapping[str, str],
    interfaces: Mapping[str, Mapping[str, str]],
) -> dict[str, Pool]:
    """
    Sum up the pools that have pods of their own.
    """
    return {
        revision: _pool(deployment, by_revision.get(revision, []), errors, interfaces.get(revision))
        for revision, deployment in deployments.items()
        if not deployment["metadata"].get("deletionTimestamp") and not is_shared(revision)
    }


def _pool(
    deployment: Manifest,
    found: Iterable[Manifest],
    errors: Mapping[str, str],
    interface: Mapping[str, str] | None,
) -> Pool:
    """
    Sum up a pool, and say so if it was not compared with what is served.
    """
    pool = pods.pool_of(deployment, found, errors)
    waived = (interface or {}).get(WAIVED)
    return replace(pool, warning=Failure(UNCHECKED, waived)) if waived else pool


def _addresses(by_revision: Mapping[str, list[Manifest]]) -> dict[str, tuple[str, ...]]:
    ready = looking.ready(by_revision)
    return {name: tuple(a for _, of, a in ready if of == name) for name in by_revision}


async def _list(kube: Kube, owner: Owner, resource: Resource) -> list[Manifest]:
    query = {"labelSelector": f"{names.DEPLOYMENT_LABEL}={owner.name}"}
    answer = await kube.get(resource.path(owner.namespace), query)
    common = {"apiVersion": resource.api_version, "kind": resource.kind}
    return [{**common, **item} for item in answer["items"]]


async def _all(kube: Kube, owner: Owner) -> tuple[list[Manifest], list[Manifest], bool]:
    """
    List the owner's children, all pods of its name, and say if the cluster knows routes.
    """
    lists, routes = await asyncio.gather(
        asyncio.gather(*(_list(kube, owner, r) for r in (*RESOURCES, PODS))), _routes(kube, owner)
    )
    items = [item for listed in (*lists[:-1], routes or []) for item in listed]
    return [item for item in items if _is_owned(item, owner)], lists[-1], routes is not None


async def _routes(kube: Kube, owner: Owner) -> list[Manifest] | None:
    """
    List our routes; None where the cluster does not know the Gateway API.
    """
    try:
        found = await asyncio.gather(*(_list(kube, owner, r) for r in ROUTES))
    except GoneError:
        return None
    return [item for items in found for item in items]


def _is_owned(item: Manifest, owner: Owner) -> bool:
    references = item["metadata"].get("ownerReferences", [])
    return any(ref.get("controller") and ref["uid"] == owner.uid for ref in references)


def _sort(found: list[Manifest]) -> tuple[dict[str, list[Manifest]], list[Manifest]]:
    by_revision: dict[str, list[Manifest]] = defaultdict(list)
    router_pods = []
    for pod in found:
        labels = pod["metadata"]["labels"]
        if labels.get(names.COMPONENT_LABEL) == names.ROUTER:
            if pods.is_ready(pod) and pod["status"].get("podIP"):
                router_pods.append(pod)
        elif names.REVISION_LABEL in labels:
            by_revision[labels[names.REVISION_LABEL]].append(pod)
    return by_revision, router_pods


def _router_failure(found: list[Manifest]) -> Failure | None:
    unready = [
        pod
        for pod in found
        if pod["metadata"]["labels"].get(names.COMPONENT_LABEL) == names.ROUTER
        and not pods.is_ready(pod)
    ]
    return next(filter(None, map(pods.failure_of, unready)), None)


def _kept(children: Mapping[Key, Manifest], deployments: Mapping[str, Manifest]) -> dict[str, Kept]:
    """
    Read the kept revisions; a record that somebody deleted is made anew from its Deployment.

    Of two records of a revision, which an operator leaves that is killed in between, the newer is
    the one that holds.
    """
    records = [item for (kind, _), item in children.items() if kind == "ControllerRevision"]
    kept = {
        item["metadata"]["labels"][names.REVISION_LABEL]: Kept(
            int(item["revision"]), item["data"]["version"], item["data"]
        )
        for item in sorted(records, key=lambda item: int(item["revision"]))
    }
    for revision, deployment in deployments.items():
        if revision not in kept:
            version = (
                deployment["metadata"].get("annotations", {}).get(names.VERSION_ANNOTATION, "")
            )
            data = {"version": version, "template": deployment["spec"]["template"]}
            kept[revision] = Kept(0, version, data)
    return kept


async def _load_errors(
    probe: Probe,
    model: str,
    by_revision: Mapping[str, list[Manifest]],
    kept: Mapping[str, Kept],
) -> dict[str, str]:
    questions = [
        (pod["metadata"]["name"], pod["status"]["podIP"], kept[revision].version)
        for revision, found in by_revision.items()
        if revision in kept
        for pod in found
        if pods.is_loading(pod)
    ]
    answers = await asyncio.gather(
        *(probe.load_error(address, model, version) for _, address, version in questions)
    )
    return {q[0]: answer for q, answer in zip(questions, answers, strict=True) if answer}


def _digests(
    owner: Owner,
    children: Mapping[Key, Manifest],
    by_revision: Mapping[str, list[Manifest]],
    kept: Iterable[str],
) -> dict[str, str]:
    """
    Take a revision's digest from its record, or else from the first fetch that reports one.
    """
    digests: dict[str, str] = {}
    for revision in kept:
        record: Any = children.get(("ConfigMap", owner.pool(revision)))
        found = by_revision.get(revision, [])
        digest = record["data"]["digest"] if record else pods.digest_of(found)
        if digest:
            digests[revision] = digest
    return digests
