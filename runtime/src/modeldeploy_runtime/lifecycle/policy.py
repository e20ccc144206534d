"""
Decides what to do next with the versions of one model: pure, stateless, idempotent.

This is TensorFlow Serving's availability-preserving policy: a version goes only when another one
can answer in its place, at the price of holding both in memory for a while.
"""

import enum
from collections.abc import Sequence
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


def next_action(versions: Sequence[VersionSnapshot]) -> Action | None:
    """
    Choose the next action for one model, or none.

    The lowest unwanted version is unloaded when nothing is wanted, when a wanted version answers,
    or when another unwanted one still does.  Otherwise the highest wanted version is loaded, one
    at a time.
    """
    aspired = [version for version in versions if version.aspired]
    leaving = [v for v in versions if v.state is State.AVAILABLE and not v.aspired]
    replaced = any(version.state is State.AVAILABLE for version in aspired)
    if leaving and (not aspired or replaced or len(leaving) > 1):
        return Action(Verb.UNLOAD, min(version.version for version in leaving))
    if any(version.state is State.LOADING for version in versions):
        return None
    waiting = [version.version for version in aspired if version.state is State.START]
    return Action(Verb.LOAD, max(waiting)) if waiting else None
