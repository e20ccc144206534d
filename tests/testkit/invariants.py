"""
The order of effects that every rollout must keep, checked at every turn of a simulation.

Ten of them have names: each is a fault that some rollout controller has had. `ORDER` is the list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from modeldeploy_operator.analysis import findings
from modeldeploy_operator.analysis.judge import Record, Verdict
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.memory import Canary, Memory
from modeldeploy_operator.rollout.snapshot import Routing, Snapshot
from modeldeploy_operator.rollout.states import TRANSITIONS, State
from modeldeploy_operator.rollout.strategy import steps
from modeldeploy_operator.rollout.weights import FULL, canary_replicas, carried, stable_replicas
from testkit.world import World


class BrokenInvariantError(AssertionError):
    """
    A simulated rollout did what none may do.
    """

    def __init__(self, broken: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in broken.items()))
        self.names = frozenset(broken)


@dataclass(frozen=True)
class Turn:
    """
    One turn of a world: what was before, what was decided, and what is after.

    Attributes:
        world: The world after the operator's pass and the second that followed.
        before: What the operator saw.
        memory: What it remembered.
        applied: What each router gave traffic to before.
        shrunk: Whether stable gave pods up in this trial, and has not got them back.
        now: When it was.
        state: The state before, if one is known.
        decision: What was decided.
        routing: The routing of the decision.

    """

    world: World
    before: Snapshot
    memory: Memory
    applied: tuple[Routing | None, ...]
    shrunk: bool
    now: datetime
    state: State | None
    decision: Decision
    routing: Routing

    @property
    def size(self) -> int:
        """
        The pods that carry all the traffic.
        """
        return self.world.wanted.replicas

    def had(self, name: str) -> int:
        """
        Return the share that was published before.
        """
        return self.before.routing.share(name) if self.before.routing else 0

    @property
    def records(self) -> tuple[Record, ...]:
        """
        What the checks remember of the canary that is decided about.
        """
        canary = self.decision.memory.canary
        return canary.analysis.records if canary else ()

    @property
    def promoted(self) -> str | None:
        """
        The revision that became stable in this turn, in place of another.
        """
        old, new = self.memory.stable, self.decision.memory.stable
        return new.revision if old and new and old != new and self.size else None


Broken = str | None


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
    if turn.world.wanted.surge is None:
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
    wanted = turn.world.wanted
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


def failed_gets_no_more(turn: Turn) -> Broken:
    """
    A canary that failed a check never gets more, unless somebody skips the analysis.
    """
    canary, tried = turn.routing.canary, turn.decision.memory.canary
    if canary is None or tried is None or tried.full:
        return None
    failed = tried.failed
    more = turn.routing.weight > turn.had(canary)
    return f"{canary} failed a check and got more" if failed and more else None


def judged_before_traffic(turn: Turn) -> Broken:
    """
    The first weight comes after every Job that must judge the canary before, unless all is skipped.
    """
    canary, tried = turn.routing.canary, turn.decision.memory.canary
    first = canary and turn.routing.weight and not turn.had(canary)
    if not first or tried is None or tried.full or not turn.before.ready(turn.routing.stable):
        return None
    found = findings.results(turn.world.wanted.criteria, tried.external, tried.step)
    wrong = [r.name for r in found if r.before_traffic and r.verdict is not Verdict.PASSING]
    return f"{canary} got traffic before {wrong[0]} had passed" if wrong else None


def jobs_go_with_the_trial(turn: Turn) -> Broken:
    """
    A Job is there only while the canary that it judges is being tried.
    """
    canary = turn.decision.memory.canary
    over = canary is None or canary.withdrawal is not None
    return (
        f"the Jobs {turn.decision.jobs} outlive the trial" if over and turn.decision.jobs else None
    )


def pods_within_the_limit(turn: Turn) -> Broken:
    """
    Where pods are scarce, both versions ask for no more than replicas + surge; what was more goes.
    """
    stable, canary = turn.decision.memory.stable, turn.decision.memory.canary
    surge = turn.world.wanted.surge
    if surge is None or stable is None or canary is None or not turn.size:
        return None
    names = (stable.revision, canary.revision.revision)
    asked = sum(turn.decision.pools.get(name, 0) for name in names)
    pools = turn.before.pools
    had = sum(pools[name].desired for name in names if name in pools)
    limit = max(turn.size + surge, had)
    return f"{asked} pods are asked for, and the limit is {limit}" if asked > limit else None


def states_follow_the_table(turn: Turn) -> Broken:
    """
    A state follows another only as the table says.
    """
    state = turn.decision.state
    if turn.state is None or state in TRANSITIONS[turn.state]:
        return None
    return f"{turn.state} went to {state}"


def previews_lead_to_the_candidate(turn: Turn) -> Broken:
    """
    The preview address leads to the revision that is being tried, or there is none.
    """
    preview, canary = turn.decision.preview, turn.decision.memory.canary
    if preview and (canary is None or canary.revision.revision != preview):
        return f"the preview leads to {preview}"
    return None


def endings_have_an_outcome(turn: Turn) -> Broken:
    """
    Whenever a trial ends, exactly one new chapter of the history says how.
    """
    old, now = turn.memory.canary, turn.decision.memory.canary
    if old is None or (now and now.started_at == old.started_at and now.revision == old.revision):
        return None
    before, after = turn.memory.history, turn.decision.memory.history
    told = [c for c in after if c not in before and c.revision == old.revision.revision]
    return None if len(told) == 1 else f"{len(told)} chapters tell how {told or old.revision} ended"


def pins_lead_to_pools(turn: Turn) -> Broken:
    """
    Who is pinned or has a lasting share has a slot and pods, until no router leads there any more.
    """
    routing, before = turn.routing, turn.before.routing
    if not routing.standing <= set(turn.decision.pools) & set(routing.slots.values()):
        return f"{sorted(routing.standing)} are not all among the pools and slots"
    for slot, name in routing.slots.items():
        if before and name in before.standing & routing.standing and before.slots.get(slot) != name:
            return f"the pinned pool {name} changed its slot"
    for applied in turn.applied:
        gone = set(turn.before.pools) - set(turn.world.pools)
        if applied and gone & applied.standing:
            return f"{sorted(gone & applied.standing)} went while a router led there"
    return None


def lasting_shares_need_pods(turn: Turn) -> Broken:
    """
    A lasting share is on ready pods alone, and rises once all of them are ready.
    """
    before, shares = turn.before, turn.routing.shares
    had = before.routing.shares if before.routing else {}
    dead = [name for name in shares if not before.ready(name)]
    if dead or sum(shares.values()) > FULL:
        return f"the lasting shares are {dict(shares)}, and {dead} have no ready pod"
    for entry in turn.world.wanted.also:
        name, share = entry.revision.revision, shares.get(entry.revision.revision, 0)
        able = min(before.ready(name), before.up(name))
        if share > entry.weight or (share > had.get(name, 0) and able < entry.replicas):
            return f"{name} has a lasting share of {share}, and {able} pods"
    return None


OTHERS = (
    pins_lead_to_pools,
    lasting_shares_need_pods,
    endings_have_an_outcome,
    failed_gets_no_more,
    judged_before_traffic,
    jobs_go_with_the_trial,
    pods_within_the_limit,
    states_follow_the_table,
    previews_lead_to_the_candidate,
)
"""What must hold besides."""


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
        world.step(act=act)
        decision = world.decision
        if decision is None or decision.routing is None:
            return
        state = self.state if decision.memory == world.memory else None
        turn = Turn(
            world, before, memory, applied, self.shrunk, now, state, decision, decision.routing
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
