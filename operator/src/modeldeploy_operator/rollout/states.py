"""
The states of a rollout and the ways between them: one table, from which the docs' diagram is made.

The state is derived at every pass; it is never stored, so that it can never be stale.
"""

from enum import StrEnum


class State(StrEnum):
    """
    Where a rollout stands.
    """

    STARTING = "Starting"
    """The first revision has not answered yet."""
    STEADY = "Steady"
    """The stable revision answers everything, and nothing is under way."""
    PREPARING = "Preparing"
    """The canary's pods are made ready for the next weight."""
    SHIFTING = "Shifting"
    """The weight is published, and not every router has confirmed it."""
    HOLDING = "Holding"
    """The weight is effective and kept until the step ends."""
    WITHDRAWING = "Withdrawing"
    """The canary is taken back: weight 0, confirmed, then its pods go."""


TRANSITIONS: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.STARTING, State.STEADY}),
    State.STEADY: frozenset({State.STEADY, State.PREPARING, State.SHIFTING}),
    State.PREPARING: frozenset(
        {State.PREPARING, State.SHIFTING, State.HOLDING, State.WITHDRAWING, State.STEADY}
    ),
    State.SHIFTING: frozenset(
        {State.SHIFTING, State.HOLDING, State.PREPARING, State.WITHDRAWING, State.STEADY}
    ),
    State.HOLDING: frozenset(
        {State.HOLDING, State.PREPARING, State.SHIFTING, State.WITHDRAWING, State.STEADY}
    ),
    State.WITHDRAWING: frozenset({State.WITHDRAWING, State.STEADY, State.PREPARING}),
}
"""From each state, the states that the next pass may find."""


def diagram() -> str:
    """
    Draw the table as a Mermaid state diagram.
    """
    lines = ["stateDiagram-v2"]
    lines += [
        f"    {state} --> {after}"
        for state, followers in TRANSITIONS.items()
        for after in State
        if after in followers and after != state
    ]
    return "\n".join(lines)
