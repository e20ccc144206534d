"""
Traces: a rollout as plain text, one block for each turn in which something changed.
"""

from collections.abc import Callable
from pathlib import Path

from testkit.invariants import Watch
from testkit.world import World


def describe(world: World) -> list[str]:
    """
    Say what was seen, decided and applied in the last turn.
    """
    decision = world.decision
    if decision is None:
        return ["  the operator is away"]
    pools = ", ".join(
        f"{name} {world.ready(name)}/{pods.desired}" for name, pods in sorted(world.pools.items())
    )
    lines = [f"  {decision.state} {decision.reason}: {decision.message}"]
    if decision.stalled:
        lines.append("  stalled: nothing changes without a person")
    lines.append(f"  pools ready/asked: {pools}")
    if world.routing is not None:
        shares = (world.routing.stable, world.routing.canary)
        told = ", ".join(f"{name} {world.routing.share(name) / 100:g}%" for name in shares if name)
        acked = min((router.generation for router in world.routers), default="-")
        lines.append(f"  routing {world.generation} (confirmed {acked}): {told}")
    if world.others.jobs:
        lines.append(f"  jobs: {', '.join(check for check, _ in world.others.jobs)}")
    lines += [f"  event {note.reason}: {note.message}" for note in decision.notes]
    return lines


class Tracer:
    """
    Runs a world turn by turn and writes down what changed.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._watch = Watch(world)
        self._last: list[str] = []
        self._turn = 0
        self.lines: list[str] = []

    def say(self, sentence: str) -> None:
        """
        Write down what a person or the world does.
        """
        self.lines.append(f"* {sentence}")

    def turns(self, count: int, *, act: bool = True) -> None:
        """
        Let turns pass.
        """
        for _ in range(count):
            self._turn += 1
            self._watch.turn(act=act)
            described = describe(self.world)
            if described != self._last:
                self.lines += [f"turn {self._turn}", *described]
            self._last = described

    def end(self) -> None:
        """
        Write down the turn that broke a rule.
        """
        self.lines += [f"turn {self._turn}", *describe(self.world)]

    def text(self) -> str:
        """
        Return the whole trace.
        """
        return "\n".join(self.lines) + "\n"


def hold_to_golden(story: Callable[[], Tracer], path: Path, *, update: bool) -> None:
    """
    Compare a story's trace with its golden one; `update` writes that anew.
    """
    title = (story.__doc__ or "").strip()
    text = f"{title}\n\n{story().text()}"
    if update:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
