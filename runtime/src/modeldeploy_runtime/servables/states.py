"""
The states of a servable, as a table.

A servable moves one way only.  ``AVAILABLE`` is published after requests can reach it and
``UNLOADING`` before they no longer can, so that whoever believes a published state is never wrong.
"""

import enum
from dataclasses import dataclass

from modeldeploy_runtime.servables import errors, ids
from modeldeploy_runtime.servables.ids import ServableId


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
    """
    What is known of one version: ``END`` with an error is a load that failed.

    Attributes:
        problem: Why a version that is still wanted is not there yet, or nothing.
        created: When the version was first wanted, in seconds since 1970.
        since: When it came into its state, in seconds since 1970.
        load_seconds: How long its load took, once it is over.
        memory_bytes: What it holds, as measured or else as estimated; 0 before it is loaded.
    """

    version: int
    state: State
    error: errors.ServingError | None = None
    name: str = ""
    problem: str = ""
    created: float = 0.0
    since: float = 0.0
    load_seconds: float = 0.0
    memory_bytes: int = 0

    @property
    def text(self) -> str:
        """The version as people know it."""
        return ids.text(self.version, self.name)


@dataclass(frozen=True, slots=True)
class StateEvent:
    """A version has come into a state, at a time in seconds since 1970."""

    id: ServableId
    state: State
    error: errors.ServingError | None
    at: float


def may_follow(before: State, after: State) -> bool:
    """Tell whether a servable may go from one state straight to the other."""
    return after in TRANSITIONS[before]
