"""
Scripts: whole rollouts as values, which can be played, cut down, and told.

A script is drawn from a seed once; from then on nothing is left to chance, so that what breaks a
rule can be cut down to the shortest script that still does, and be told turn by turn.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from modeldeploy_operator.analysis.checks import Check, Criteria, OnNoData
from modeldeploy_operator.analysis.kinds import ErrorRate, Shadow
from modeldeploy_operator.rollout import weights
from modeldeploy_operator.rollout.decision import Decision
from modeldeploy_operator.rollout.snapshot import Failure, Snapshot
from modeldeploy_operator.rollout.strategy import schedules
from modeldeploy_operator.rollout.strategy.schedules import Schedule
from modeldeploy_operator.rollout.strategy.steps import Step
from testkit import others
from testkit.trace import Tracer
from testkit.turn import BrokenInvariantError
from testkit.world import Nature, World, a_world

NAMES = ("v1", "v2", "v3", "v4")
VERBS = ("approve", "promote", "promote-full", "abort", "retry", "undo")
CANARY = schedules.canary([Step(1_000, 2), Step(5_000, 2)])

_OTHERS = (others.ACCEPTANCE, others.PAGE)
_SAID = (others.GOOD, others.BAD, others.ERROR, others.FLAPS)

Bend = Callable[[Decision, Snapshot], Decision]


@dataclass(frozen=True)
class Event:
    """
    What happens before a turn: a word, and what it is about.
    """

    do: str = "nothing"
    about: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.do, *(str(part) for part in self.about)])


NOTHING = Event()


@dataclass(frozen=True)
class Script:
    """
    A whole rollout.

    Attributes:
        replicas: The pods that carry all the traffic.
        schedule: The strategy.
        criteria: By what canaries are judged.
        natures: What each version is like.
        events: One for each turn.
        bend: What changes each decision, to break a rule on purpose.

    """

    replicas: int = 2
    schedule: Schedule = CANARY
    criteria: Criteria = field(default_factory=Criteria)
    natures: tuple[tuple[str, Nature], ...] = ()
    events: tuple[Event, ...] = ()
    bend: Bend | None = None

    def world(self) -> World:
        """
        Build the world in which it is played.
        """
        world = a_world(replicas=self.replicas)
        world.natures = dict(self.natures)
        world.bend = self.bend
        _schedule(world, self.schedule)
        world.want(criteria=self.criteria)
        return world


def happen(world: World, event: Event) -> bool:
    """
    Let one thing happen; return whether the operator may act in this turn.
    """
    if event.do in _HAPPENINGS:
        _HAPPENINGS[event.do](world, *event.about)
    return event.do != "operator away"


def _schedule(world: World, schedule: Schedule) -> None:
    world.want(
        steps=schedule.steps,
        surge=schedule.surge,
        preview=schedule.preview,
        otherwise=schedule.otherwise,
    )


def _order(world: World, verb: str, named: str, token: int) -> None:
    canary = world.memory.canary
    target = canary.revision.revision if canary and named == "canary" else named
    world.want(action=f"{verb}@{target}#{token}")


def _die(world: World, name: str, numbers: frozenset[int]) -> None:
    if name in world.pools:
        home = world.pools[name].shared
        for key, pods in world.pools.items():
            if key == name or (home and pods.shared == home):
                pods.ages = [0 if n in numbers else age for n, age in enumerate(pods.ages)]


def _lag(world: World, router: int, turns: int) -> None:
    world.routers[router].lag = turns


def _trip(world: World, router: int) -> None:
    applied = world.routers[router].applied
    world.routers[router].tripped = (applied.canary or "") if applied and applied.weight else ""


def _demand(world: World, requests: int) -> None:
    world.demand = requests


def _operator_dies(world: World, point: int) -> None:
    world.dies_after = point


_HAPPENINGS: dict[str, Callable[..., None]] = {
    "want": lambda world, name: world.want(name),
    "strategy": _schedule,
    "replicas": lambda world, count: world.want(replicas=count),
    "paused": lambda world, paused: world.want(paused=paused),
    "demand": _demand,
    "order": _order,
    "die": _die,
    "lag": _lag,
    "trip": _trip,
    "operator dies": _operator_dies,
}


def a_schedule(chance: random.Random) -> Schedule:
    """
    Draw a strategy with its steps.
    """
    kind = chance.random()
    if kind < 0.15:
        return schedules.rolling(chance.choice([1, 2]))
    if kind < 0.30:
        approval = chance.random() < 0.3
        return schedules.blue_green(approval=approval, hold=chance.choice([0, 3, 8]))
    shares = sorted(chance.sample(range(100), 2))
    written = [Step(share * 100, chance.random() * 4, chance.random() < 0.1) for share in shares]
    if kind < 0.5:
        return schedules.in_place(written, chance.choice([1, 2]))
    return schedules.canary(written, surge=chance.choice([None, None, 1, 2]))


def _nature(chance: random.Random) -> Nature:
    says = {} if chance.random() < 0.6 else {check.name: chance.choice(_SAID) for check in _OTHERS}
    return replace(_a_body(chance), says=says)


def _a_body(chance: random.Random) -> Nature:
    kind = chance.random()
    if kind < 0.1:
        return Nature(None, Failure("VersionNotFound", "no such version", permanent=True))
    if kind < 0.2:
        return Nature(None, Failure("ImagePullBackOff", "cannot pull", permanent=False))
    if kind < 0.3:
        return Nature(chance.randint(0, 4), failing=chance.choice([0.02, 0.5, 1.0]))
    if kind < 0.35:
        return Nature(chance.randint(0, 4), drifting=chance.choice([0.005, 0.1, 1.0]))
    if kind < 0.45:
        failure = Failure("Unschedulable", "no node takes it", permanent=chance.random() < 0.5)
        return Nature(chance.randint(0, 4), failure, most=1)
    return Nature(chance.randint(0, 4))


def _criteria(chance: random.Random) -> Criteria:
    checks: tuple[Check, ...] = (Check("errors", ErrorRate(max=0.05, max_increase=0.01)),)
    if chance.random() < 0.3:
        checks += (Check("drift", Shadow(percent=10, tolerance=0.001, max_mismatch=0.01)),)
    return Criteria(
        checks if chance.random() < 0.6 else (),
        interval=chance.choice([1, 3]),
        min_requests=chance.choice([1, 50]),
        on_no_data=chance.choice(list(OnNoData)),
        pauses=chance.random() < 0.2,
        external=tuple(check for check in _OTHERS if chance.random() < 0.3),
        failure_limit=chance.choice([1, 3]),
    )


def _an_order(chance: random.Random) -> tuple[Any, ...]:
    named = "canary" if chance.random() < 0.8 else chance.choice([*NAMES, "0"])
    return (chance.choice(VERBS), named, chance.randrange(1_000_000))


def _deaths(chance: random.Random) -> tuple[Any, ...]:
    numbers = frozenset(number for number in range(8) if chance.random() < 0.7)
    return (chance.choice(NAMES), numbers)


_CHANCES: tuple[tuple[float, str, Callable[[random.Random], tuple[Any, ...]]], ...] = (
    (0.045, "want", lambda chance: (chance.choice(NAMES),)),
    (0.015, "replicas", lambda chance: (chance.choice([0, 1, 2, 4, 7]),)),
    (0.02, "strategy", lambda chance: (a_schedule(chance),)),
    (0.01, "paused", lambda chance: (chance.random() < 0.5,)),
    (0.01, "demand", lambda chance: (chance.choice([0, 10, 1000]),)),
    (0.04, "order", _an_order),
    (0.06, "die", _deaths),
    (0.08, "lag", lambda chance: (chance.randint(0, 1), chance.randint(0, 4))),
    (0.01, "trip", lambda chance: (chance.randint(0, 1),)),
    (0.04, "operator away", lambda _: ()),
    (0.13, "operator dies", lambda chance: (chance.randint(0, 3),)),
)
"""How often what happens in a turn."""


def _event(chance: random.Random) -> Event:
    kind = chance.random()
    for often, do, about in _CHANCES:
        if kind < often:
            return Event(do, about(chance))
        kind -= often
    return NOTHING


def draw(seed: int) -> Script:
    """
    Draw a script; the same seed gives the same one.
    """
    chance = random.Random(seed)
    natures = {name: _nature(chance) for name in NAMES}
    natures["v1"] = Nature(1)
    natures["v4"] = replace(natures["v4"], mould="other")
    return Script(
        chance.choice([1, 2, 3, 4]),
        a_schedule(chance),
        _criteria(chance),
        tuple(natures.items()),
        tuple(_event(chance) for _ in range(chance.randint(20, 80))),
    )


Fails = Callable[[Script], bool]


def cut_down(script: Script, fails: Fails) -> Script:
    """
    Cut a failing script down for as long as it fails: fewer events, tamer versions, no checks.
    """
    before = None
    while before != script:
        before = script
        script = _fewer_events(script, fails)
        for tamer in _tamer(script):
            script = tamer if fails(tamer) else script
    return script


def _fewer_events(script: Script, fails: Fails) -> Script:
    chunk = max(1, len(script.events) // 2)
    while chunk:
        start = 0
        while start < len(script.events):
            shorter = replace(script, events=script.events[:start] + script.events[start + chunk :])
            if fails(shorter):
                script = shorter
            else:
                start += chunk
        chunk //= 2
    return script


def _tamer(script: Script) -> list[Script]:
    tamer = [
        replace(script, criteria=Criteria()),
        replace(script, schedule=CANARY),
        *(replace(script, replicas=size) for size in (1, 2) if size < script.replicas),
    ]
    for name, _ in script.natures:
        natures = tuple(pair for pair in script.natures if pair[0] != name)
        tamer.append(replace(script, natures=natures))
    for number, event in enumerate(script.events):
        quiet = (*script.events[:number], NOTHING, *script.events[number + 1 :])
        if event != NOTHING:
            tamer.append(replace(script, events=quiet))
    return tamer


def _told(schedule: Schedule) -> str:
    shares = ", ".join(weights.text(step.weight) for step in schedule.steps)
    where = ", in place" if schedule.otherwise else ""
    return f"steps {shares}, surge {schedule.surge}{where}"


def tell(script: Script, rest: int = 0) -> str:
    """
    Play a script and tell it turn by turn, until a rule is broken.

    Args:
        script: What is played.
        rest: How many quiet turns follow.

    """
    tracer = Tracer(script.world())
    tracer.say(f"{script.replicas} replicas, {_told(script.schedule)}")
    for name, nature in script.natures:
        tracer.say(f"{name} is {nature}")
    try:
        for event in (*script.events, *[NOTHING] * rest):
            if event != NOTHING:
                tracer.say(str(event))
            tracer.turns(1, act=happen(tracer.world, event))
    except BrokenInvariantError as broken:
        tracer.end()
        tracer.say(f"broken: {broken}")
    return tracer.text()
