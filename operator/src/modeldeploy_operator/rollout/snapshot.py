"""
What was seen in the cluster, as values: the third argument of every decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from modeldeploy_operator.analysis.checks import Evidence
from modeldeploy_operator.analysis.external import Measurement


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why a pool's pods do not become ready, as far as can be seen.

    Attributes:
        code: A CamelCase reason such as `VersionNotFound` or `ImagePullBackOff`.
        message: The underlying error in words.
        permanent: Whether waiting cannot help.

    """

    code: str
    message: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """
    The pods of one revision.

    Attributes:
        desired: The replicas that its Deployment asks for.
        ready: The pods that are ready and serve the version of the revision.
        failure: The worst reason for which pods are not ready, if one shows.
        stage: What the pods are at while they are not ready, such as `FetchingModel`.
        warning: What was found wrong with its model and does not keep it from serving.
        created: When its Deployment was made, as Kubernetes writes it.
        shared: The pods that it lives in, where those may hold another version, too.

    """

    desired: int
    ready: int
    failure: Failure | None = None
    stage: str = "AwaitingPods"
    warning: Failure | None = None
    created: str = ""
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """
    A lasting rule: requests with all these headers go to `canary` or `stable`.
    """

    name: str
    headers: Mapping[str, str]
    to: str


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What the routers do with unpinned requests by their headers.

    Attributes:
        match: Rules, of which the first that holds decides.
        sticky: `header` or `cookie`, and its name, by which a client stays where it is.

    """

    match: tuple[Match, ...] = ()
    sticky: tuple[str, str] | None = None


NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Routing:
    """
    A routing configuration: who gets the traffic.

    Attributes:
        slots: Slot name to revision.
        stable: The revision that the stable role points at.
        canary: The revision that the canary role points at, if any.
        weight: The canary's share in ten-thousandths; 0 without a canary.
        versions: Version to the standing revision that answers requests for it.
        labels: Label to the revision that answers requests for it.
        shares: Standing revision to its share of the unpinned requests, which is taken before
            stable and canary divide the others.
        rules: What is decided by headers.

    """

    slots: Mapping[str, str]
    stable: str
    canary: str | None = None
    weight: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, int] = field(default_factory=dict)
    rules: Rules = NO_RULES

    @property
    def standing(self) -> frozenset[str]:
        """
        The revisions that requests can reach though they have no role.
        """
        return frozenset({*self.versions.values(), *self.labels.values(), *self.shares})

    @property
    def roles(self) -> tuple[str, str | None, int]:
        """
        Who gets what, slots apart.
        """
        return (self.stable, self.canary, self.weight)

    def share(self, revision: str) -> int:
        """
        Return what stable or canary gets of the traffic that no standing revision takes.
        """
        if revision == self.canary:
            return self.weight
        return 10_000 - self.weight if revision == self.stable else 0


@dataclass(frozen=True, slots=True)
class Router:
    """
    What one ready router pod says of itself.

    Attributes:
        generation: The routing generation that its HAProxy has confirmed; -1 if it is silent.
        up: Revision to the number of its endpoints whose health check passes.
        tripped: The revision that its breaker took out, if any.
        why: What the breaker saw.

    """

    generation: int
    up: Mapping[str, int] = field(default_factory=dict)
    tripped: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    Everything a decision looks at.

    Attributes:
        pools: Revision to pool, for every pool that exists.
        routing: The published routing configuration, if one is.
        generation: The number of the published configuration; 0 if none is.
        routers: The ready router pods.
        kept: Revision to model version, for those whose template is kept and can be run again.
        router_failure: Why a router pod is not ready, if it shows.
        evidence: What both versions did since the last look; None while no look is due.
        shares: Revision to the share of the requests, from 0 to 1, that it was seen to get; empty
            while it is too early for another look.
        measured: External check to what was measured: for each Job that exists, and for each
            question that was answered just now.
        gateway: What the Gateways say of our routes; None where none was asked for.
        moulds: Kept revision to a fingerprint of all that its pods are made of but the version.
        patience: How soon another look can find something new, at the earliest.

    """

    pools: Mapping[str, Pool] = field(default_factory=dict)
    routing: Routing | None = None
    generation: int = 0
    routers: tuple[Router, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    router_failure: Failure | None = None
    evidence: Evidence | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    gateway: Failure | None = None
    moulds: Mapping[str, str] = field(default_factory=dict)
    patience: timedelta = timedelta(0)

    @property
    def is_complete(self) -> bool:
        """
        Whether every pool has all its pods ready.
        """
        return bool(self.pools) and all(p.ready >= p.desired for p in self.pools.values())

    @property
    def asked(self) -> int:
        """
        Count the pods that are asked for; those that several revisions share, once.
        """
        homes = {pool.shared or name: 0 for name, pool in self.pools.items()}
        for name, pool in self.pools.items():
            homes[pool.shared or name] = max(homes[pool.shared or name], pool.desired)
        return sum(homes.values())

    @property
    def confirmed(self) -> bool:
        """
        Whether every ready router has applied the published configuration, and one is there.
        """
        return bool(self.routers) and all(r.generation == self.generation for r in self.routers)

    @property
    def next_generation(self) -> int:
        """
        A number for the next configuration that no router has seen, whatever was lost.
        """
        return 1 + max([self.generation, *(router.generation for router in self.routers)])

    def generation_of(self, routing: Routing | None) -> int:
        """
        Return the number of a configuration: the published one's own, or else the next.
        """
        return self.generation if routing == self.routing else self.next_generation

    def effective(self, routing: Routing) -> bool:
        """
        Whether every ready router gives the traffic to whom this configuration gives it.
        """
        return self.routing is not None and self.routing.roles == routing.roles and self.confirmed

    def tripped(self, revision: str) -> str | None:
        """
        Return why a router took a revision out, or None if none did.
        """
        return next((r.why for r in self.routers if r.tripped == revision), None)

    def ready(self, revision: str) -> int:
        """
        Count the ready pods of a revision.
        """
        pool = self.pools.get(revision)
        return pool.ready if pool else 0

    def up(self, revision: str) -> int:
        """
        Count the endpoints of a revision that every ready router finds healthy.
        """
        return min((r.up.get(revision, 0) for r in self.routers), default=0)
