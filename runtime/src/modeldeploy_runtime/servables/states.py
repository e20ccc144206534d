"""
The states of a servable, as a table.

A servable moves one way only.  ``AVAILABLE`` is published after requests can reach it and
``UNLOADING`` before they no longer can, so that whoever believes a published state is never wrong.
"""

import enum
from dataclasses import dataclass

from modeldeploy_runtime.servables import errors


class State(enum.Enum):
    """Where a servable stands; the value is the spelling on the wire."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.START: frozenset({State.LOADING, State.END}),
    State.LOADING: frozenset({State.AVAILABLE, State.END}),
    State.AVAILABLE: frozenset({State.UNLOADING}),
    State.UNLOADING: frozenset({State.END}),
    State.END: frozenset(),
}


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What the status of one version says: ``END`` with an error is a load that failed."""

    version: int
    state: State
    error: errors.ServingError | None = None


def may_follow(before: State, after: State) -> bool:
    """Tell whether a servable may go from one state straight to the other."""
    return after in TRANSITIONS[before]
