"""
A small imitation of a cluster, for simulated rollouts.

Pods become ready after some turns or never, routers confirm late, and the operator may die between
any two of its effects. It imitates only what the decision sees: counts, not objects.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from modeldeploy_operator.analysis.checks import Evidence
from modeldeploy_operator.analysis.external import Measurement
from modeldeploy_operator.analysis.tally import Tally
from modeldeploy_operator.evidence.looks import due
from modeldeploy_operator.rollout.decide import decide
from modeldeploy_operator.rollout.decision import Decision, Wanted
from modeldeploy_operator.rollout.memory import Memory, Revision
from modeldeploy_operator.rollout.snapshot import Failure, Pool, Router, Routing, Snapshot
from modeldeploy_operator.rollout.strategy.steps import Step, complete
from testkit.others import Others

START = datetime(2026, 1, 1, tzinfo=UTC)
TURN = timedelta(seconds=1)
NOTHING = (0.0, 0.0, 0.0, 0.0)
"""What a version was sent, what of it failed, what it was asked again and answered otherwise."""


class OperatorDiedError(Exception):
    """
    The operator stopped between two of its effects.
    """


@dataclass
class Pods:
    """
    The pods of one revision: how many are asked for, and how long each has served it.

    Where they are `shared`, other revisions may have the same pods; one that nobody asks for any
    more is `leaving` them for some turns.
    """

    desired: int
    ages: list[int] = field(default_factory=list)
    shared: str = ""
    leaving: int = 0


@dataclass
class RouterPod:
    """
    One router: the configuration that it has applied, how late it is, and whom it took out.
    """

    applied: Routing | None = None
    generation: int = -1
    lag: int = 0
    tripped: str = ""


@dataclass
class Nature:
    """
    What a revision is like: after how many turns its pods are ready (None: never), and why not.

    At most `most` of its pods become ready, if that is given; `failing` is the share of its
    requests that fail, and `drifting` of those that it answers otherwise than stable; `says` maps
    an external check to what it finds, `good` where it is left out.
    Pods of another `mould` cannot hold it.
    """

    ready_after: int | None = 1
    failure: Failure | None = None
    most: int | None = None
    failing: float = 0.0
    drifting: float = 0.0
    says: Mapping[str, str] = field(default_factory=dict)
    mould: str = "one"


def steps_of(*weights: int, hold: float = 0, approval: bool = False) -> tuple[Step, ...]:
    """
    Build complete steps from percentages.
    """
    return complete([Step(weight * 100, hold, approval) for weight in weights])


def revision(name: str) -> Revision:
    """
    Build the revision that serves the version of the same name.
    """
    return Revision(revision=name, version=name)


@dataclass
class World:
    """
    The cluster, the operator's memory as saved, and what the user wants.

    `bend` lets a test change what is decided, to see that a broken rule is caught.
    """

    wanted: Wanted
    natures: dict[str, Nature] = field(default_factory=dict)
    pools: dict[str, Pods] = field(default_factory=dict)
    routers: list[RouterPod] = field(default_factory=lambda: [RouterPod(), RouterPod()])
    routing: Routing | None = None
    generation: int = 0
    memory: Memory = field(default_factory=Memory)
    kept: dict[str, str] = field(default_factory=dict)
    now: datetime = START
    decision: Decision | None = None
    dies_after: int | None = None
    bend: Callable[[Decision, Snapshot], Decision] | None = None
    writes: int = 0
    demand: int = 100
    served: dict[str, list[float]] = field(default_factory=dict)
    looked: dict[str, list[float]] | None = None
    others: Others = field(default_factory=Others)
    houses: dict[str, list[int]] = field(default_factory=dict)
    born: int = 0

    def nature(self, name: str) -> Nature:
        """
        Return what a revision is like; by default its pods are ready one turn after their start.
        """
        return self.natures.get(name, Nature())

    def ready(self, name: str) -> int:
        """
        Count the ready pods of a revision.
        """
        after = self.nature(name).ready_after
        pods = self.pools.get(name)
        if pods is None or after is None:
            return 0
        ready = sum(1 for age in pods.ages if age >= after)
        most = self.nature(name).most
        return ready if most is None else min(ready, most)

    def observe(self) -> Snapshot:
        """
        Look at everything, as the operator would.
        """
        pools = {
            name: Pool(
                desired=pods.desired,
                ready=self.ready(name),
                failure=self.nature(name).failure if self.ready(name) < pods.desired else None,
                shared=pods.shared,
            )
            for name, pods in self.pools.items()
        }
        routers = tuple(
            Router(
                router.generation,
                {name: self.ready(name) for name in self._known(router)},
                router.tripped,
                "its requests failed" if router.tripped else "",
            )
            for router in self.routers
        )
        return Snapshot(
            pools,
            self.routing,
            self.generation,
            routers,
            dict(self.kept),
            evidence=self._evidence() if due(self.wanted, self.memory, self.now) else None,
            measured=self._measured(),
            moulds={name: self.nature(name).mould for name in self.kept},
        )

    def _measured(self) -> dict[str, Measurement]:
        """
        Hear what others say of the canary.
        """
        canary = self.memory.canary
        says = dict(self.nature(canary.revision.revision).says) if canary else {}
        return self.others.measured(self.wanted, self.memory, self.routing, self.now, says)

    def _evidence(self) -> Evidence:
        """
        Tell what both versions did since the last look; nothing at the first one.
        """
        canary, stable = self.memory.canary, self.memory.stable
        if self.looked is None or canary is None or stable is None:
            return Evidence()
        return Evidence(self._since(stable.revision), self._since(canary.revision.revision))

    def _since(self, name: str) -> Tally:
        now, before = self.served.get(name, NOTHING), (self.looked or {}).get(name, NOTHING)
        sent, failed, mirrored, drifted = (
            int(a) - int(b) for a, b in zip(now, before, strict=True)
        )
        return Tally(sent, failed, mirrored=mirrored, drifted=drifted)

    def _known(self, router: RouterPod) -> list[str]:
        return list(router.applied.slots.values()) if router.applied else []

    def step(self, *, act: bool = True) -> None:
        """
        Let one turn pass: the operator acts (unless it is away), then the world goes on.
        """
        if act:
            with contextlib.suppress(OperatorDiedError):
                self.act()
        self.live()

    def act(self) -> None:
        """
        Run one pass: observe, decide, remember, then carry out; it may die in between.
        """
        seen = self.observe()
        decision = decide(self.wanted, self.memory, seen, self.now)
        self.decision = self.bend(decision, seen) if self.bend else decision
        self._may_die()
        if self.decision.memory != self.memory:
            self.memory = self.decision.memory
            self.writes += 1
        if seen.evidence is not None:
            self.looked = {name: list(counts) for name, counts in self.served.items()}
        self._may_die()
        self._apply(self.decision)

    def _may_die(self) -> None:
        """
        Die here if it is the point that was chosen: 0 is before the status, 3 before removals.
        """
        if self.dies_after is None:
            return
        self.dies_after -= 1
        if self.dies_after < 0:
            self.dies_after = None
            raise OperatorDiedError

    def _apply(self, decision: Decision) -> None:
        if decision.routing is not None and decision.routing != self.routing:
            self.routing = decision.routing
            self.generation += 1
            self.writes += 1
        self._may_die()
        for name, size in decision.pools.items():
            pods = self.pools.setdefault(name, Pods(desired=-1))
            home = decision.shared.get(name, "")
            if (pods.desired, pods.shared) != (size, home):
                self.pools[name] = replace(pods, desired=size, shared=home, leaving=0)
                self.writes += 1
            self.kept.setdefault(name, name)
        self._may_die()
        self.writes += self.others.apply(decision)
        for name in set(self.pools) - set(decision.pools):
            self._remove(name)

    def _remove(self, name: str) -> None:
        """
        Take a pool away; out of pods that stay, its version goes a little later.
        """
        pods = self.pools[name]
        stays = any(
            pods.shared and other.shared == pods.shared
            for key, other in self.pools.items()
            if key != name
        )
        if not stays:
            del self.pools[name]
        if not stays or not pods.leaving:
            self.writes += 1
            pods.desired, pods.leaving = 0, 2

    def live(self) -> None:
        """
        Let a second pass: pods start, age and go; routers apply what is published.
        """
        self.now += TURN
        self.dies_after = None
        self.others.live()
        for name, pods in list(self.pools.items()):
            pods.ages = sorted((age + 1 for age in pods.ages), reverse=True)[: pods.desired]
            pods.ages += [0] * (pods.desired - len(pods.ages))
            if pods.leaving:
                pods.leaving -= 1
                if not pods.leaving:
                    del self.pools[name]
        self._house()
        self._shadow()
        for router in self.routers:
            if router.lag > 0:
                router.lag -= 1
            elif router.generation != self.generation and self.routing is not None:
                router.applied, router.generation = self.routing, self.generation
            if router.applied is None or router.applied.canary != router.tripped:
                router.tripped = ""
            self._serve(router)

    def _house(self) -> None:
        """
        Let shared pods be as many as the revision asks for that asks for most; each has a number.
        """
        sizes: dict[str, int] = {}
        for pods in self.pools.values():
            if pods.shared:
                sizes[pods.shared] = max(sizes.get(pods.shared, 0), pods.desired)
        self.houses = {home: self.houses.get(home, [])[:size] for home, size in sizes.items()}
        for home, size in sizes.items():
            while len(self.houses[home]) < size:
                self.born += 1
                self.houses[home].append(self.born)

    def _serve(self, router: RouterPod) -> None:
        """
        Let a router send its part of the demand to whom it knows.
        """
        applied = router.applied
        for name in {applied.stable, applied.canary} - {None} if applied else ():
            share = applied.share(name) / 10_000 if applied and name else 0.0
            if router.tripped:
                share = 0.0 if name == router.tripped else 1.0
            sent = self.demand / len(self.routers) * share
            counts = self.served.setdefault(str(name), list(NOTHING))
            counts[0] += sent
            counts[1] += sent * self.nature(str(name)).failing

    def _shadow(self) -> None:
        """
        Let stable's pods ask a canary a tenth of what they were asked.
        """
        canary, routing = self.memory.canary, self.routing
        if canary is None or canary.withdrawal or routing is None:
            return
        name = canary.revision.revision
        if not (self.ready(name) and self.ready(routing.stable)):
            return
        asked = self.demand * routing.share(routing.stable) / 10_000 / 10
        counts = self.served.setdefault(name, list(NOTHING))
        counts[2] += asked
        counts[3] += asked * self.nature(name).drifting

    def want(self, name: str | None = None, **changes: object) -> None:
        """
        Change what the user wants.
        """
        wanted = self.wanted
        if name is not None:
            wanted = replace(wanted, revision=revision(name), mould=self.nature(name).mould)
        self.wanted = replace(wanted, **changes)  # type: ignore[arg-type]  # by name


def a_world(name: str = "v1", replicas: int = 2, steps: tuple[Step, ...] | None = None) -> World:
    """
    Build a world in which one version is wanted and nothing exists yet.
    """
    wanted = Wanted(
        revision=revision(name),
        mould=Nature().mould,
        replicas=replicas,
        steps=steps if steps is not None else steps_of(10, 50, hold=2),
        progress_deadline=30,
    )
    return World(wanted=wanted)
