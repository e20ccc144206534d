"""
A version is loaded only when the unwanted ones are gone.

The price is that a model answers nothing for a while; it suits models of which the memory holds no
two.
"""

from collections.abc import Sequence

from modeldeploy_runtime.lifecycle.policy import Action, Verb, VersionSnapshot, load_newest
from modeldeploy_runtime.servables.states import State


def next_action(versions: Sequence[VersionSnapshot]) -> Action | None:
    """
    Choose the next action for one model, or none; the oldest version comes first.

    Unwanted versions are unloaded first, the oldest before the others, and nothing is loaded
    before all of them are gone.
    """
    leaving = [v.version for v in versions if v.state is State.AVAILABLE and not v.aspired]
    if leaving:
        return Action(Verb.UNLOAD, leaving[0])
    if any(version.state is State.UNLOADING for version in versions):
        return None
    if any(version.state is State.LOADING and not version.aspired for version in versions):
        return None
    return load_newest(versions)
