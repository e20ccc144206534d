"""Finds the model that a request names: by version, by label, or the newest."""

from collections.abc import Mapping

from modeldeploy_runtime.lifecycle.handle import Handle
from modeldeploy_runtime.lifecycle.manager import Manager
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.servables.states import State, VersionStatus


class Directory:
    """All models by name; safe to use from any number of threads."""

    def __init__(self, manager: Manager, labels: Mapping[str, Mapping[str, int]]) -> None:
        self._manager = manager
        self._labels = labels

    @property
    def names(self) -> tuple[str, ...]:
        """The configured models."""
        return tuple(self._labels)

    def knows(self, name: str) -> bool:
        """Tell whether a model is configured."""
        return name in self._labels

    def acquire(self, selector: Selector) -> Handle:
        """
        Take hold of the version that a selector means.

        Raises:
            ServingError: There is no such version or label.
        """
        if selector.label is not None:
            version = self._labels.get(selector.name, {}).get(selector.label)
            if version is None:
                raise errors.InvalidArgumentError(
                    f"Unrecognized servable version label: {selector.label}"
                )
            selector = Selector(selector.name, version)
        return self._manager.acquire(selector)

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """
        List the versions of a model, or the one that is named.

        Raises:
            NotFoundError: Nothing is known of it.
        """
        found = self._manager.statuses(name)
        if not found:
            raise errors.NotFoundError(f"Could not find any versions of model {name}")
        if version is None:
            return found
        named = [status for status in found if status.version == version]
        if not named:
            raise errors.NotFoundError(f"Could not find version {version} of model {name}")
        return named

    def is_available(self, name: str) -> bool:
        """Tell whether any version of a model answers requests."""
        return any(status.state is State.AVAILABLE for status in self._manager.statuses(name))
