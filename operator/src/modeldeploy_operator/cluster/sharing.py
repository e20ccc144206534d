"""
Asking shared pods which of the versions on their list each serves.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from modeldeploy_operator.cluster.apply import Key
from modeldeploy_operator.cluster.port import Manifest
from modeldeploy_operator.evidence import shared
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.evidence.shared import SILENT, Told
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.plan import Kept
from modeldeploy_operator.manifests.pool import UNCHECKED, WAIVED
from modeldeploy_operator.manifests.shared import Listed, build_mark, is_shared, read_list
from modeldeploy_operator.resource import revisions
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.snapshot import Failure, Pool


@dataclass(frozen=True, slots=True)
class Sharing:
    """
    What was seen of shared pods, by the revisions in them.

    Attributes:
        pools: Revision to what its pods are at with it.
        serving: Revision to the pods that serve it.
        digests: Revision to the digest with which it was fetched.
        versions: Revision to version, by which the pods count it.
        marks: What makes the kubelet bring the list to pods that have not read it.

    """

    pools: dict[str, Pool] = field(default_factory=dict)
    serving: dict[str, list[Manifest]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    marks: list[Manifest] = field(default_factory=list)


def moulds(kept: Mapping[str, Kept]) -> dict[str, str]:
    """
    Tell what the pods of each kept revision are made of but the version, as far as it is known.
    """
    known = {name: record.data.get("ingredients") for name, record in kept.items()}
    return {name: revisions.mould(made_of) for name, made_of in known.items() if made_of}


def apart(by_name: dict[str, list[Manifest]]) -> dict[str, list[Manifest]]:
    """
    Take the shared pods out of the pods by name, and return them.
    """
    return {name: by_name.pop(name) for name in list(by_name) if is_shared(name)}


async def ask(
    probe: Probe,
    owner: Owner,
    spec: ModelDeploymentSpec,
    houses: tuple[Mapping[str, Manifest], Mapping[str, list[Manifest]]],
    known: tuple[Mapping[Key, Manifest], Mapping[str, Kept]],
    now: datetime,
) -> Sharing:
    """
    Ask every shared pod what it holds.

    Args:
        probe: Asks pods.
        owner: The ModelDeployment.
        spec: What the user wrote.
        houses: The Deployments, and the pods of those that are shared.
        known: All objects, and the kept revisions.
        now: The time of the pass.

    """
    (deployments, by_home), model = houses, spec.model_name(owner.name)
    children = known[0]
    sharing = Sharing()
    for home, deployment in deployments.items():
        if not is_shared(home) or deployment["metadata"].get("deletionTimestamp"):
            continue
        living = [p for p in by_home.get(home, []) if not p["metadata"].get("deletionTimestamp")]
        told = await asyncio.gather(*(_told(probe, model, pod) for pod in living))
        found = list(zip(living, told, strict=True))
        config_map = children.get(("ConfigMap", owner.versions(home)))
        wanted = read_list(config_map)
        behind = _behind(found, wanted)
        marks = (build_mark(pod, config_map, now) for pod in behind)
        sharing.marks.extend(filter(None, marks))
        for entry in [*wanted, *_leaving(owner, wanted, told, known)]:
            name, version = entry.revision, entry.version
            pool = shared.pool_of(deployment, version, found, listed=entry in wanted)
            sharing.pools[name] = _warned(pool, children.get(("ConfigMap", owner.interface(name))))
            sharing.versions[name] = version
            sharing.serving[name] = [p for p, said in found if shared.serves(p, said, version)]
            if digest := shared.digest_of(version, found):
                sharing.digests[name] = digest
    return sharing


def _behind(found: Iterable[tuple[Manifest, Told]], wanted: Iterable[Listed]) -> Iterator[Manifest]:
    """
    Find the pods whose follower answers and has not read the list as it is now.
    """
    versions = {entry.version for entry in wanted}
    return (pod for pod, told in found if told != SILENT and not told.has_read(versions))


def _warned(pool: Pool, interface: Manifest | None) -> Pool:
    waived = (interface or {"data": {}})["data"].get(WAIVED)
    return replace(pool, warning=Failure(UNCHECKED, waived)) if waived else pool


async def _told(probe: Probe, model: str, pod: Manifest) -> Told:
    address = pod["status"].get("podIP")
    if not address:
        return SILENT
    status, followed = await asyncio.gather(
        probe.model_status(address, model), probe.followed(address)
    )
    return shared.read(status, followed)


def _leaving(
    owner: Owner,
    wanted: Iterable[Listed],
    told: Iterable[Told],
    known: tuple[Mapping[Key, Manifest], Mapping[str, Kept]],
) -> list[Listed]:
    """
    Find the kept revisions that are off the list, and that some pod still knows.
    """
    said, (children, kept) = list(told), known
    there = {entry.version for entry in wanted}
    mould = moulds(kept)
    of_home = {mould[entry.revision] for entry in wanted if entry.revision in mould}
    newest = sorted(kept, key=lambda name: -kept[name].number)
    found: dict[str, Listed] = {}
    for name in newest:
        version = kept[name].version
        own = ("Deployment", owner.pool(name)) in children
        fits = mould.get(name) in of_home and not own and version not in there
        if fits and version not in found and any(pod.knows(version) for pod in said):
            found[version] = Listed(name, version)
    return list(found.values())
