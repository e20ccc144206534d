"""
Decides what to do next with the versions of one model: pure, stateless, idempotent.

The two transition policies are TensorFlow Serving's; each stands in a file of its own and sees the
versions of one model, the oldest first.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modeldeploy_runtime.servables.states import State


class Verb(enum.Enum):
    """What can be done to a version."""

    LOAD = "load"
    UNLOAD = "unload"


@dataclass(frozen=True, slots=True)
class VersionSnapshot:
    """One version as it is now; ``aspired`` tells whether it should be served."""

    version: int
    state: State
    aspired: bool


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do; the next decision is made when it has been done or begun."""

    verb: Verb
    version: int


Policy = Callable[[Sequence[VersionSnapshot]], Action | None]


def load_newest(versions: Sequence[VersionSnapshot]) -> Action | None:
    """Load the newest wanted version that has not been tried, one at a time."""
    if any(version.state is State.LOADING for version in versions):
        return None
    waiting = [v.version for v in versions if v.aspired and v.state is State.START]
    return Action(Verb.LOAD, waiting[-1]) if waiting else None
