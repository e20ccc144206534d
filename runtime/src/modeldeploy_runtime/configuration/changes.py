"""
What one configuration changes in another, and what it must not: pure.

A configuration is always the whole of what is wanted; a model that it leaves out goes.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.states import State, VersionStatus
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.version_policy import Specific

Models = Mapping[str, ServedModel]
Statuses = Callable[[str], Sequence[VersionStatus]]

_ALIVE = frozenset({State.START, State.LOADING, State.AVAILABLE})


class Change(enum.Enum):
    """What happens to one model."""

    ADDED = "added"
    MOVED = "moved"
    ADJUSTED = "adjusted"
    REMOVED = "removed"
    UNCHANGED = "unchanged"

    @property
    def is_new(self) -> bool:
        """Whether versions have to be found, so that somebody may want to wait for them."""
        return self in {Change.ADDED, Change.MOVED}


def between(old: Models, new: Models) -> dict[str, Change]:
    """
    Say for each model of either configuration what happens to it.

    Moved: its versions are chosen anew, as its folder, policy or platform is another.  Adjusted:
    only its labels or its logging are others.
    """
    changes = {name: _change(old.get(name), model) for name, model in new.items()}
    return changes | {name: Change.REMOVED for name in old if name not in new}


def _change(old: ServedModel | None, new: ServedModel) -> Change:
    if old is None:
        return Change.ADDED
    if old == new:
        return Change.UNCHANGED
    return Change.ADJUSTED if old.place == new.place else Change.MOVED


def faults(
    old: Models, new: Models, statuses: Statuses, *, any_label: bool
) -> Iterator[errors.ServingError]:
    """
    List what forbids to go from one configuration to the other.

    ``any_label`` lets a new label name a version that nobody expects.
    """
    for name, model in new.items():
        before = old.get(name)
        if before is not None and before.platform != model.platform:
            yield errors.InvalidArgumentError(
                f"Illegal to change a model's platform. For model {name} platform was "
                f"{before.platform} and new platform requested is {model.platform}"
            )
        known = [status for status in statuses(name) if status.state in _ALIVE]
        yield from _label_faults(before, model, known, any_label=any_label)


def _label_faults(
    before: ServedModel | None,
    model: ServedModel,
    known: Sequence[VersionStatus],
    *,
    any_label: bool,
) -> Iterator[errors.ServingError]:
    labels = {} if before is None else before.labels
    versions = {status.text for status in known}
    for label, version in sorted(model.labels.items()):
        if labels.get(label) == version:
            continue
        if label in versions:
            yield errors.InvalidArgumentError(
                f'Model {model.name} has the label "{label}", which is one of its versions.'
            )
        is_free = any_label and label not in labels
        if not is_free and not _may_label(before, model, version, known):
            yield errors.PreconditionError(
                f"Request to assign label to version {version} of model {model.name}, which is not "
                "currently available for inference"
            )


def _may_label(
    before: ServedModel | None, model: ServedModel, version: int, known: Sequence[VersionStatus]
) -> bool:
    """Tell whether a version answers, or is expected to: the label then waits for it."""
    if any(status.version == version for status in known):
        return True
    if isinstance(model.policy, Specific):
        return version in model.policy.versions
    return before is None or _change(before, model) is Change.MOVED
