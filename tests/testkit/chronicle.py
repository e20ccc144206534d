"""
A chronicle of a ModelDeployment on a real cluster: every change of its objects, in order.

All objects are in one etcd, whose revision is their `resourceVersion`: so changes of different
kinds have one order, whoever made them and however late a watch tells of them.
"""

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from modeldeploy_operator.manifests.names import DEPLOYMENT_LABEL, REVISION_LABEL
from modeldeploy_operator.resource import PLURAL
from testkit.cluster import NAMESPACE

FULL = 10_000
LABELLED = ("configmaps", "deployments.apps", "pods", "services")
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """
    One object as it was from this moment on; gone if it was deleted.
    """

    at: int
    body: Body
    is_gone: bool = False


@dataclass(slots=True)
class Scene:
    """
    What stood in the cluster at a moment.
    """

    objects: dict[tuple[str, str], Body] = field(default_factory=dict)

    def after(self, change: Change) -> "Scene":
        """
        Return the scene that a change leads to.
        """
        objects = dict(self.objects)
        key = (change.body["kind"], change.body["metadata"]["name"])
        if change.is_gone:
            objects.pop(key, None)
        else:
            objects[key] = change.body
        return Scene(objects)

    def of(self, kind: str) -> list[Body]:
        """
        List the objects of a kind.
        """
        return [body for (of, _), body in self.objects.items() if of == kind]

    @property
    def routing(self) -> Body:
        """
        The published routing configuration; empty before there is one.
        """
        for body in self.of("ConfigMap"):
            if text := (body.get("data") or {}).get("routing.json"):
                content: Body = json.loads(text)
                return content
        return {}

    @property
    def slots(self) -> set[str]:
        """
        The revisions that routers know.
        """
        return {slot["revision"] for slot in self.routing.get("slots", {}).values()}

    @property
    def shares(self) -> dict[str, int]:
        """
        Revision to its share of the requests, in ten-thousandths.
        """
        routing = self.routing
        if not routing:
            return {}
        named = {
            role: routing["slots"][slot]["revision"] for role, slot in routing["roles"].items()
        }
        shares = {named["stable"]: FULL - routing["weight"]}
        if "canary" in named:
            shares[named["canary"]] = routing["weight"]
        return shares

    @property
    def sizes(self) -> dict[str, int]:
        """
        Revision to the pods that its Deployment asks for.
        """
        return {
            body["metadata"]["labels"][REVISION_LABEL]: int(body["spec"]["replicas"])
            for body in self.of("Deployment")
            if REVISION_LABEL in body["metadata"]["labels"]
            and not body["metadata"].get("deletionTimestamp")
        }

    def pods(self, revision: str) -> set[str]:
        """
        The uids of the pods of a revision that are ready and to stay.
        """
        return {
            pod["metadata"]["uid"]
            for pod in self.of("Pod")
            if pod["metadata"]["labels"].get(REVISION_LABEL) == revision
            and not pod["metadata"].get("deletionTimestamp")
            and any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in pod.get("status", {}).get("conditions", [])
            )
        }

    @property
    def roles(self) -> dict[str, Body]:
        """
        What the status says of stable and canary.
        """
        (owner,) = self.of("ModelDeployment") or [{}]
        status = owner.get("status", {})
        return {role: status[role] for role in ("stable", "canary") if role in status}


class Chronicle:
    """
    Writes down all changes from `async with` to its end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._watches: list[asyncio.subprocess.Process] = []
        self._texts: list[asyncio.Task[bytes]] = []
        self.changes: list[Change] = []

    async def __aenter__(self) -> Self:
        label = f"--selector={DEPLOYMENT_LABEL}={self._name}"
        asked = [(kind, label) for kind in LABELLED]
        asked.append((PLURAL, f"--field-selector=metadata.name={self._name}"))
        for kind, which in asked:
            watch = await asyncio.create_subprocess_exec(
                *("kubectl", f"--namespace={NAMESPACE}", "get", kind, which),
                *("--watch", "--output-watch-events", "--output=json"),
                stdout=asyncio.subprocess.PIPE,
            )
            assert watch.stdout
            self._watches.append(watch)
            self._texts.append(asyncio.create_task(watch.stdout.read()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for watch in self._watches:
            watch.terminate()
            await watch.wait()
        texts = [(await text).decode() for text in self._texts]
        found = [change for text in texts for change in _read(text)]
        self.changes = sorted(found, key=lambda change: change.at)


def _read(text: str) -> Iterator[Change]:
    decoder, place = json.JSONDecoder(), 0
    while (place := text.find("{", place)) >= 0:
        try:
            event, place = decoder.raw_decode(text, place)
        except ValueError:
            return
        body = event["object"]
        at = int(body["metadata"]["resourceVersion"])
        yield Change(at, body, event["type"] == "DELETED")


def broken(changes: Sequence[Change], replicas: int) -> list[str]:
    """
    Find where a history breaks the rules of the order of effects; each has its name in front.
    """
    found: list[str] = []
    before = Scene()
    known: set[str] = set()
    for change in changes:
        after = before.after(change)
        moment = _Moment(before, after, replicas, known)
        found += [
            f"{rule.__name__} at {change.at}: {said}" for rule in RULES if (said := rule(moment))
        ]
        known |= {name for name in after.slots if not after.shares.get(name)}
        before = after
    return found


@dataclass(frozen=True, slots=True)
class _Moment:
    """
    One change: what stood before and after it, and the revisions that routers knew before.
    """

    before: Scene
    after: Scene
    replicas: int
    known: set[str]

    @property
    def raised(self) -> dict[str, int]:
        """
        The revisions that get more from here on, once there was any traffic to divide.
        """
        had = self.before.shares
        return {n: s for n, s in self.after.shares.items() if had and s > had.get(n, 0)}

    @property
    def shrunk(self) -> list[str]:
        """
        The revisions whose pods become fewer.
        """
        sizes = self.after.sizes
        return [name for name, size in self.before.sizes.items() if sizes.get(name, 0) < size]


def pods_come_before_weight(moment: _Moment) -> str:
    """
    A revision gets a share only when as many pods are ready as the share needs.
    """
    for name, share in moment.raised.items():
        needed = max(1, math.ceil(share * moment.replicas / FULL))
        if len(moment.before.pods(name)) < needed:
            return f"{name} got {share} with {len(moment.before.pods(name))} pods"
    return ""


def weight_leaves_before_pods(moment: _Moment) -> str:
    """
    Pods go only when their revision's share is 0, published, and confirmed by every router.
    """
    for name in moment.shrunk:
        if moment.before.shares.get(name):
            return f"{name} lost pods with a share"
        for role in moment.before.roles.values():
            if role["revision"] == name and role["weight"]["effective"] != "0%":
                return f"{name} lost pods at {role['weight']['effective']}"
    return ""


def selectors_never_change(moment: _Moment) -> str:
    """
    A Service leads to the same kind of pods all its life.
    """
    for body in moment.after.of("Service"):
        had = moment.before.objects.get(("Service", body["metadata"]["name"]))
        same = had is None or had["metadata"]["uid"] != body["metadata"]["uid"]
        if not same and had and had["spec"]["selector"] != body["spec"]["selector"]:
            return f"{body['metadata']['name']} changed its selector"
    return ""


def stable_keeps_its_size(moment: _Moment) -> str:
    """
    Whoever gets traffic as stable has all its pods asked for.
    """
    stable = moment.after.roles.get("stable", {}).get("revision", "")
    if moment.after.shares.get(stable) and moment.after.sizes.get(stable, 0) < moment.replicas:
        return f"{stable} has {moment.after.sizes.get(stable, 0)} pods"
    return ""


def another_takes_all_before_stable_goes(moment: _Moment) -> str:
    """
    The old version loses its pods only when the new one has all the traffic and all its pods.
    """
    for name in moment.shrunk:
        takers = [other for other, share in moment.before.shares.items() if share == FULL]
        ready = [other for other in takers if len(moment.before.pods(other)) >= moment.replicas]
        if name not in takers and not ready:
            return f"{name} lost pods while {moment.before.shares} were served"
    return ""


def pods_are_not_made_anew(moment: _Moment) -> str:
    """
    Who has all the traffic keeps the pods that it had: promotion is a change of pointer.
    """
    for name, share in moment.after.shares.items():
        if share == FULL == moment.before.shares.get(name):
            lost = moment.before.pods(name) - moment.after.pods(name)
            if lost:
                return f"{name} lost {len(lost)} pods"
    return ""


def nothing_ready_gets_nothing(moment: _Moment) -> str:
    """
    No configuration gives a share to a revision without a ready pod.
    """
    if moment.before.routing == moment.after.routing or not moment.before.shares:
        return ""
    for name, share in moment.after.shares.items():
        if share and not moment.after.pods(name):
            return f"{name} has {share} and no ready pod"
    return ""


def shares_add_up(moment: _Moment) -> str:
    """
    Together it is always all the traffic.
    """
    shares = moment.after.shares
    wrong = shares and (sum(shares.values()) != FULL or min(shares.values()) < 0)
    return f"the shares are {shares}" if wrong else ""


def routers_know_before_weight(moment: _Moment) -> str:
    """
    A pool is known to the routers, and checked, before it has a share.
    """
    for name in moment.raised:
        if name not in moment.known and not moment.before.shares.get(name):
            return f"{name} got a share at first sight"
    return ""


RULES = (
    pods_come_before_weight,
    weight_leaves_before_pods,
    selectors_never_change,
    stable_keeps_its_size,
    another_takes_all_before_stable_goes,
    pods_are_not_made_anew,
    nothing_ready_gets_nothing,
    shares_add_up,
    routers_know_before_weight,
)
"""The order of effects; that a share is kept at any number of pods is counted at the client."""
