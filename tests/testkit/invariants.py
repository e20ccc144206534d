"""
The order of effects that every rollout must keep, checked at every turn of a simulation.

Ten of them have names: each is a fault that some rollout controller has had. `ORDER` is the list.
"""

from collections.abc import Callable

from modeldeploy_operator.rollout.memory import Canary
from modeldeploy_operator.rollout.snapshot import Routing
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import steps
from modeldeploy_operator.rollout.weights import FULL, canary_replicas, carried, stable_replicas
from testkit.further_rules import OTHERS
from testkit.turn import Broken, BrokenInvariantError, Turn
from testkit.world import World


def capacity_before_traffic(turn: Turn) -> Broken:
    """
    1. A weight rises only once the pods for it are ready, and every router finds them healthy.
    """
    canary, weight = turn.routing.canary, turn.routing.weight
    if canary is None or weight <= turn.had(canary) or not turn.before.ready(turn.routing.stable):
        return None
    need = canary_replicas(weight, turn.size)
    if turn.before.ready(canary) < need:
        return f"{weight} of 10000 need {need} pods, {turn.before.ready(canary)} are ready"
    if turn.before.up(canary) < need:
        return f"{weight} of 10000 need {need} pods, routers see {turn.before.up(canary)}"
    return None


def traffic_before_removal(turn: Turn) -> Broken:
    """
    2. Pods go only once every router has confirmed that it sends the rest no more than they carry.
    """
    for name, pool in turn.before.pools.items():
        after = turn.world.pools.get(name)
        left = after.desired if after else 0
        for routing in turn.applied if left < pool.desired else ():
            share = routing.share(name) if routing else 0
            if share and after is None:
                return f"the pool {name} went while a router sent to it"
            if (
                routing
                and share
                and turn.size
                and left < min(pool.desired, _needs(turn, routing, name))
            ):
                return f"the pool {name} has {left} pods for {share} of 10000 of a router's traffic"
    return None


def _needs(turn: Turn, routing: Routing, name: str) -> int:
    if name == routing.canary:
        return canary_replicas(routing.weight, turn.size)
    return stable_replicas(routing.weight, turn.size)


def pools_keep_their_slots(turn: Turn) -> Broken:
    """
    3. A slot changes its pool only once no router sends to the old one.
    """
    published = turn.before.routing.slots if turn.before.routing else {}
    for slot, name in turn.routing.slots.items():
        old = published.get(slot)
        if old is None or old == name or old not in turn.before.pools:
            continue
        if any(routing and routing.share(old) for routing in (*turn.applied, turn.before.routing)):
            return f"the slot {slot} went from {old} to {name} while it had traffic"
    return None


def stable_back_before_weight(turn: Turn) -> Broken:
    """
    4. Traffic goes back to a stable pool that had shrunk only as far as its ready pods carry it.
    """
    canary, stable = turn.memory.canary, turn.memory.stable
    if stable is None or canary is None or turn.promoted or not turn.size:
        return None
    name = stable.revision
    if turn.wanted.surge is None:
        asked = turn.decision.pools.get(name, 0)
        had = turn.before.pools.get(name)
        least = min(had.desired, turn.size) if had else 0
        if asked < least:
            return f"stable shrank to {asked} of {least} pods"
    if not turn.shrunk or turn.routing.share(name) <= turn.had(name) or _hurries(turn, canary):
        return None
    able = min(turn.before.ready(name), turn.before.up(name))
    carries = FULL - carried(max(0, turn.size - able), turn.size)
    share = turn.routing.share(name)
    if share > carries:
        return f"stable gets {share} of 10000 and its {able} pods carry {carries}"
    return None


def _hurries(turn: Turn, canary: Canary) -> bool:
    """
    Tell whether waiting would help nobody: the canary gets nothing, or stable's pods never come.
    """
    name = canary.revision.revision
    if turn.before.ready(name) == 0 or turn.before.tripped(name) is not None:
        return True
    order = canary.withdrawal
    waited = (turn.now - order.since).total_seconds() if order and order.since else 0.0
    return waited >= turn.world.wanted.progress_deadline


def promoted_at_full_size(turn: Turn) -> Broken:
    """
    5. The canary has all the traffic, confirmed, and all the pods, before it is promoted.

    A stable revision without a ready pod may be replaced by less: by all that answers.
    """
    new, old = turn.promoted, turn.memory.stable
    if new is None or old is None or not turn.before.ready(old.revision):
        return None
    if turn.before.ready(new) < turn.size:
        return f"{new} was promoted with {turn.before.ready(new)} of {turn.size} pods"
    if any(routing is None or routing.share(new) < FULL for routing in turn.applied):
        return f"{new} was promoted before every router gave it everything"
    return None


def promotion_restarts_nothing(turn: Turn) -> Broken:
    """
    6. A promotion is a change of a pointer: the new stable revision keeps its pods and its slot.
    """
    new = turn.promoted
    if new is None:
        return None
    slots = turn.before.routing.slots if turn.before.routing else {}
    moved = [slot for slot, name in turn.routing.slots.items() if name == new]
    if moved != [slot for slot, name in slots.items() if name == new]:
        return f"{new} changed its slot when it was promoted"
    if turn.decision.pools.get(new, 0) < min(turn.size, turn.before.pools[new].desired):
        return f"{new} lost pods when it was promoted"
    return None


def no_traffic_without_pods(turn: Turn) -> Broken:
    """
    7. A canary without a ready pod gets nothing, and the last pool that answers keeps its share.
    """
    canary, weight = turn.routing.canary, turn.routing.weight
    if canary and weight and not turn.before.ready(canary):
        return f"{canary} gets {weight} of 10000 and has no ready pod"
    tried, published = turn.memory.canary, turn.before.routing
    if tried is None or published is None or not tried.had_traffic or not turn.size:
        return None
    name = tried.revision.revision
    alone = turn.before.ready(name) and not turn.before.ready(published.stable)
    judged = turn.decision.memory.canary
    failed = judged is not None and judged.failed
    if alone and not failed and published.share(name) and not turn.routing.share(name):
        return f"the traffic was taken from {name}, the last pool with a ready pod"
    return None


def shares_are_all_the_traffic(turn: Turn) -> Broken:
    """
    8. The shares are between nothing and everything, and add up to everything.
    """
    names = {turn.routing.stable, turn.routing.canary} - {None}
    shares = [turn.routing.share(str(name)) for name in names]
    if sum(shares) != FULL or min(shares) < 0:
        return f"the shares are {sorted(shares)}"
    return None


def known_before_weighted(turn: Turn) -> Broken:
    """
    9. Every router knows a canary's pool, one configuration before it gives it any traffic.
    """
    canary = turn.routing.canary
    if canary is None or turn.routing.weight == 0 or turn.had(canary):
        return None
    if any(routing is None or canary not in routing.slots.values() for routing in turn.applied):
        return f"{canary} got {turn.routing.weight} of 10000 before every router knew its pool"
    return None


def shares_are_of_requests(turn: Turn) -> Broken:
    """
    10. What is held is the step's own weight, to the ten-thousandth, however few pods there are.
    """
    canary, memory = turn.decision.memory.canary, turn.memory
    if canary is None or turn.decision.state is not State.HOLDING:
        return None
    wanted = turn.wanted
    step = steps.FINAL if canary.full else wanted.steps[canary.step]
    stable = memory.stable.revision if memory.stable else ""
    rescued = not turn.before.ready(stable) and turn.routing.weight == FULL
    if turn.routing.weight != step.weight and not rescued:
        return f"{turn.routing.weight} of 10000 are held, and the step says {step.weight}"
    return None


ORDER: tuple[Callable[[Turn], Broken], ...] = (
    capacity_before_traffic,
    traffic_before_removal,
    pools_keep_their_slots,
    stable_back_before_weight,
    promoted_at_full_size,
    promotion_restarts_nothing,
    no_traffic_without_pods,
    shares_are_all_the_traffic,
    known_before_weighted,
    shares_are_of_requests,
)
"""The ten rules of the order of effects."""


class Watch:
    """
    Looks at a world before and after each of the operator's passes.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.state: State | None = None
        self.shrunk = False

    def turn(self, *, act: bool = True) -> None:
        """
        Let one turn pass, and check everything.

        Raises:
            BrokenInvariantError: Some of it does not hold.

        """
        world = self.world
        before, memory, now = world.observe(), world.memory, world.now
        applied = tuple(router.applied for router in world.routers)
        world.decision = None
        houses = {home: list(pods) for home, pods in world.houses.items()}
        world.step(act=act)
        decision = world.decision
        if decision is None or decision.routing is None:
            return
        state = self.state if decision.memory == world.memory else None
        turn = Turn(
            *(world, before, memory, applied, self.shrunk, now, state, decision),
            decision.routing,
            houses,
        )
        broken = {rule.__name__: why for rule in (*ORDER, *OTHERS) if (why := rule(turn))}
        if broken:
            raise BrokenInvariantError(broken)
        if decision.memory == world.memory:
            self.state = decision.state
        self._follow(turn)

    def _follow(self, turn: Turn) -> None:
        """
        Follow whether stable lacks pods that it gave up for the canary of the memory.
        """
        stable, canary = self.world.memory.stable, self.world.memory.canary
        if stable is None or canary is None or turn.promoted:
            self.shrunk = False
            return
        able = min(turn.before.ready(stable.revision), turn.before.up(stable.revision))
        less = turn.decision.pools.get(stable.revision, 0) < turn.size
        self.shrunk = less or (self.shrunk and able < turn.size)
