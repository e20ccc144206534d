"""Finds the model that a request names: by version, by label, or the newest."""

from collections.abc import Mapping

from modeldeploy_runtime.inference.labels import Labels
from modeldeploy_runtime.lifecycle.handle import Handle
from modeldeploy_runtime.lifecycle.manager import Manager
from modeldeploy_runtime.servables import errors, ids
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.servables.states import State, VersionStatus


class Directory:
    """All models by name; safe to use from any number of threads."""

    def __init__(self, manager: Manager, labels: Mapping[str, Mapping[str, int]]) -> None:
        self._manager = manager
        self._names = tuple(labels)
        self._labels = Labels(labels)

    def update(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Take the models of another configuration with their labels, at once."""
        self._labels.replace(labels)
        self._names = tuple(labels)

    @property
    def names(self) -> tuple[str, ...]:
        """The configured models."""
        return self._names

    def labels(self, name: str) -> dict[str, int]:
        """List a model's labels with the versions that answer to them now."""
        return self._labels.of(name, lambda version: self._is(name, version, State.AVAILABLE))

    def knows(self, name: str) -> bool:
        """Tell whether a model is configured."""
        return name in self._names

    def versions(self, name: str) -> list[VersionStatus]:
        """List the versions of a model, perhaps none, the newest first."""
        return self._manager.statuses(name)

    def acquire(self, selector: Selector) -> Handle:
        """
        Take hold of the version that a selector means.

        Raises:
            ServingError: There is no such version or label, or the label's version is not there
                yet.
        """
        if selector.label is None:
            return self._manager.acquire(selector)
        return self._acquire_label(selector.name, selector.label)

    def _acquire_label(self, name: str, label: str) -> Handle:
        before = None
        while True:
            version = self._labels.resolve(
                name, label, lambda v: self._is(name, v, State.AVAILABLE)
            )
            if version is None and self._is_named(name, label):
                return self._manager.acquire(Selector.of_version(name, label))
            if version is None:
                raise errors.InvalidArgumentError(f"Unrecognized servable version label: {label}")
            try:
                return self._manager.acquire(Selector(name, version))
            except errors.NotFoundError:
                # The label may have moved since it was resolved: then its new version answers.
                if version == before:
                    if self._may_come(name, version):
                        raise errors.UnavailableError(
                            f"Model labels does not init yet.{label}"
                        ) from None
                    raise
                before = version

    def _may_come(self, name: str, version: int) -> bool:
        """Tell whether a version is on its way, or nothing has been found of its model yet."""
        known = self._manager.statuses(name)
        return not known or any(
            status.version == version and status.state in {State.START, State.LOADING}
            for status in known
        )

    def _is(self, name: str, version: int, state: State) -> bool:
        return any(
            status.version == version and status.state is state
            for status in self._manager.statuses(name)
        )

    def _is_named(self, name: str, label: str) -> bool:
        """Tell whether a label is the name of a version, and no number."""
        if ids.parse_number(label) is not None:
            return False
        number = ids.version_number(label)
        return any(status.version == number for status in self._manager.statuses(name))

    def statuses(self, selector: Selector) -> list[VersionStatus]:
        """
        List the versions of a model, or the one that a selector names; labels do not narrow.

        Raises:
            NotFoundError: Nothing is known of it.
        """
        name = selector.name
        found = self._manager.statuses(name)
        if not found:
            raise errors.NotFoundError(f"Could not find any versions of model {name}")
        if selector.version is None:
            return found
        named = [status for status in found if status.version == selector.version]
        if not named:
            raise errors.NotFoundError(
                f"Could not find version {selector.version_text} of model {name}"
            )
        return named

    def is_available(self, name: str) -> bool:
        """Tell whether any version of a model answers requests."""
        return any(status.state is State.AVAILABLE for status in self._manager.statuses(name))
