"""
A version goes only when another one can answer in its place.

The price is memory for both of them for a while.
"""

from collections.abc import Sequence

from modeldeploy_runtime.lifecycle.policy import Action, Verb, VersionSnapshot, load_newest
from modeldeploy_runtime.servables.states import State


def next_action(versions: Sequence[VersionSnapshot]) -> Action | None:
    """
    Choose the next action for one model, or none; the oldest version comes first.

    The oldest unwanted version is unloaded when nothing is wanted, when a wanted version answers,
    or when another unwanted one still does.  Otherwise the newest wanted version is loaded.
    """
    aspired = [version for version in versions if version.aspired]
    leaving = [v.version for v in versions if v.state is State.AVAILABLE and not v.aspired]
    replaced = any(version.state is State.AVAILABLE for version in aspired)
    if leaving and (not aspired or replaced or len(leaving) > 1):
        return Action(Verb.UNLOAD, leaving[0])
    return load_newest(versions)
