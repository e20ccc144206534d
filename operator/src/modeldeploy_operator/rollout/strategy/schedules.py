"""
Schedules: each strategy as steps, a limit on the pods that run at once, and a preview or none.

This is all that a rollout knows of its strategy:

| strategy | steps | limit |
|---|---|---|
| Canary, capacity Full | those that were written, then all the traffic | none |
| Canary, capacity Scarce | the same | replicas + maxSurge |
| BlueGreen | all the pods without traffic, then all the traffic, held | none |
| Rolling | all the traffic | replicas + maxSurge |
| InPlace, another version alone | those that were written, each with all the pods | none |
| InPlace, any other change | as Rolling | replicas + maxSurge |
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modeldeploy_operator.rollout import weights
from modeldeploy_operator.rollout.strategy.steps import FINAL, Step, complete


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    How a revision takes over.

    Attributes:
        steps: The steps, the final one included.
        surge: How many pods there may be beyond the wanted replicas; None where stable keeps all
            of its own.
        preview: Whether the candidate has an address of its own while it is tried.
        otherwise: The schedule for a change of pods, where a change of the version alone is made
            inside the pods that run.

    """

    steps: tuple[Step, ...]
    surge: int | None = None
    preview: bool = False
    otherwise: "Schedule | None" = None


def canary(steps: Sequence[Step], surge: int | None = None) -> Schedule:
    """
    Go share by share.
    """
    return Schedule(complete(steps), surge)


def blue_green(*, approval: bool, hold: float) -> Schedule:
    """
    Run all the pods without traffic, switch once, and keep the old pods for a quick return.
    """
    ready = Step(0, approval=approval, size=weights.FULL)
    return Schedule((ready, Step(weights.FULL, hold)), preview=True)


def rolling(surge: int) -> Schedule:
    """
    Replace a few pods at a time; the traffic follows the pods.
    """
    return Schedule((FINAL,), surge)


def in_place(steps: Sequence[Step], surge: int) -> Schedule:
    """
    Go share by share inside the pods that run; what is no change of the version replaces them.
    """
    return Schedule(complete(steps), otherwise=rolling(surge))
