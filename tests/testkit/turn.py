"""
One turn of a simulated rollout, as the rules look at it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from modeldeploy_operator.analysis.judge import Record
from modeldeploy_operator.rollout.decision import Decision, Wanted
from modeldeploy_operator.rollout.memory import Memory
from modeldeploy_operator.rollout.snapshot import Routing, Snapshot
from modeldeploy_operator.rollout.states import State
from modeldeploy_operator.rollout.strategy import placement
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
        houses: Shared pods and their numbers, as they were before.

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
    houses: Mapping[str, list[int]] = field(default_factory=dict)

    @property
    def wanted(self) -> Wanted:
        """
        What is wanted, with the schedule that is in force.
        """
        canary = self.decision.memory.canary
        goal = canary.revision if canary else self.world.wanted.revision
        return placement.fit(self.world.wanted, self.decision.memory, goal)

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
