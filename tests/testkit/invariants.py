"""
The order of effects that every rollout must keep, checked at every turn of a simulation.

Each of them is a fault that some rollout controller has had: traffic before capacity, removal
before traffic, a stable pool that shrinks too early.
"""

from modeldeploy_operator.rollout.states import TRANSITIONS, State
from modeldeploy_operator.rollout.weights import FULL, canary_replicas
from testkit.world import World


class BrokenInvariantError(AssertionError):
    """
    A simulated rollout did what none may do.
    """


def _require(holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise BrokenInvariantError(sentence)


class Watch:
    """
    Looks at a world before and after each of the operator's passes.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.state: State | None = None
        self._remember()

    def _remember(self) -> None:
        world = self.world
        self.before = world.observe()
        self.memory = world.memory
        self.applied = [router.applied for router in world.routers]

    def turn(self, *, act: bool = True) -> None:
        """
        Let one turn pass, and check everything.
        """
        self._remember()
        world = self.world
        world.decision = None
        world.step(act=act)
        if world.decision is not None:
            self._decided()
        self._applied()

    def _decided(self) -> None:
        decision = self.world.decision
        if decision is None or decision.routing is None:
            return
        self._weights()
        self._last_answer()
        self._slots()
        self._stable()
        self._state()

    def _weights(self) -> None:
        """
        Weights need ready pods before, and add up to everything.
        """
        decision, before = self.world.decision, self.before
        if decision is None or decision.routing is None:
            return
        routing = decision.routing
        shares = sum(routing.share(name) for name in {routing.stable, routing.canary or ""})
        _require(shares == FULL, "the shares do not add up to all the traffic")
        canary = routing.canary
        if canary is None:
            return
        had = before.routing.share(canary) if before.routing else 0
        need = canary_replicas(routing.weight, self.world.wanted.replicas)
        ready = before.ready(canary)
        rescue = before.ready(routing.stable) == 0
        judged = decision.memory.canary
        if judged and any(record.failure for record in judged.analysis.records):
            skipped = judged.full
            _require(routing.weight <= had or skipped, "a canary that failed a check got more")
        if routing.weight > had and not rescue:
            _require(ready >= need, "weight was raised before the pods for it were ready")
            _require(before.up(canary) >= need, "weight was raised before routers saw the pods")
        if routing.weight > 0:
            _require(ready > 0, "weight was put on a pool with no ready pod")

    def _last_answer(self) -> None:
        """
        Traffic is never taken from the only pool that answers.
        """
        decision, before, canary = self.world.decision, self.before, self.memory.canary
        routing = before.routing
        if decision is None or decision.routing is None or routing is None or canary is None:
            return
        name = canary.revision.revision
        alone = before.ready(name) > 0 and before.ready(routing.stable) == 0
        if alone and canary.had_traffic and routing.share(name) and self.world.wanted.replicas:
            _require(decision.routing.share(name) > 0, "traffic was taken from the last ready pool")

    def _slots(self) -> None:
        """
        A pool that gets traffic never changes its slot.
        """
        decision, before = self.world.decision, self.before
        if decision is None or decision.routing is None or before.routing is None:
            return
        for slot, name in decision.routing.slots.items():
            if before.routing.share(name) and decision.routing.share(name):
                _require(before.routing.slots.get(slot) == name, "a pool changed its slot")

    def _stable(self) -> None:
        """
        The stable pool keeps its size during a rollout, and changes only when its successor is up.
        """
        decision, before = self.world.decision, self.before
        if decision is None or self.memory.stable is None:
            return
        old, new = self.memory.stable.revision, decision.memory.stable
        replicas = self.world.wanted.replicas
        if new is None or new.revision == old:
            had = before.pools.get(old)
            if decision.memory.canary and had and replicas:
                floor = min(had.desired, max(had.desired, replicas))
                _require(decision.pools[old] >= floor, "the stable pool shrank during a rollout")
            return
        if replicas and before.ready(old):
            _require(before.ready(new.revision) >= replicas, "promoted before all pods were ready")
            routing = before.routing
            _require(
                routing is not None and routing.share(new.revision) == FULL and before.confirmed,
                "promoted before all the traffic was confirmed",
            )

    def _state(self) -> None:
        decision = self.world.decision
        if decision is None or decision.memory != self.world.memory:
            return
        if self.state is not None:
            legal = TRANSITIONS[self.state]
            _require(decision.state in legal, f"{self.state} went to {decision.state}")
        self.state = decision.state

    def _applied(self) -> None:
        """
        No pool is removed while a ready router sends to it.
        """
        gone = set(self.before.pools) - set(self.world.pools)
        for routing in self.applied:
            for name in gone:
                used = routing is not None and routing.share(name) > 0
                _require(not used, f"the pool {name} went while a router sent to it")
