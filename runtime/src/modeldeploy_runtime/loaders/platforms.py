"""
The kinds of models that can be served: ours, and those of installed packages.

A package adds a platform by an entry point of the group ``modeldeploy.loaders``: its name is what
``model_platform`` says in the model's configuration, and it leads to something that makes a
``Platform`` when it is called with the ``LoadOptions``.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

from modeldeploy_runtime.loaders.port import Loader, LoadOptions, LoadWatch, Platform
from modeldeploy_runtime.loaders.stored import StoredLoader
from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.servables.errors import Code, LoadError, ServingError
from modeldeploy_runtime.sources.port import StoredVersion

GROUP = "modeldeploy.loaders"
TENSORFLOW = "tensorflow"

Factory = Callable[[LoadOptions], Platform]


def names() -> frozenset[str]:
    """List the platforms that ``model_platform`` may name."""
    return frozenset({TENSORFLOW, *(entry.name for entry in metadata.entry_points(group=GROUP))})


class Platforms:
    """
    Makes loaders of what sources find: TensorFlow Serving's source adapters.

    Threads may call every method at any time.  A platform comes into being with the first model
    that needs it, and ``wrap`` may put something around each.
    """

    def __init__(
        self,
        options: LoadOptions,
        own: Mapping[str, Factory],
        watch: LoadWatch,
        wrap: Callable[[Platform], Platform] = lambda platform: platform,
    ) -> None:
        self._watch = watch
        self._wrap = wrap
        self._options = options
        self._own = own
        self._made: dict[str, Platform] = {}
        self._lock = threading.Lock()

    def adapt(
        self, platform: str, versions: Sequence[ServableData[StoredVersion]]
    ) -> list[ServableData[Loader]]:
        """Give each version the loader of its platform, or an error where there is none."""
        return [self._adapt(platform, version) for version in versions]

    def _adapt(self, platform: str, version: ServableData[StoredVersion]) -> ServableData[Loader]:
        if isinstance(version.value, ServingError):
            return ServableData(version.id, version.value)
        try:
            loader = StoredLoader(version.id, version.value, self.get(platform), self._watch)
        except ServingError as error:
            return ServableData(version.id, error)
        return ServableData(version.id, loader)

    def get(self, name: str) -> Platform:
        """
        Find a platform, or make it.

        Raises:
            LoadError: There is none of this name, or its package fails.
        """
        with self._lock:
            if name not in self._made:
                self._made[name] = self._wrap(self._make(name))
            return self._made[name]

    def _make(self, name: str) -> Platform:
        if factory := self._own.get(name):
            return factory(self._options)
        for entry in metadata.entry_points(group=GROUP, name=name):
            try:
                made: Platform = entry.load()(self._options)
            except Exception as error:
                raise LoadError(
                    f"The platform {name} of {entry.value} cannot be used: {error}",
                    Code.FAILED_PRECONDITION,
                    permanent=True,
                ) from error
            return made
        raise LoadError(
            f"No platform {name} found for model; install a package that offers it in the "
            f"entry points of {GROUP}.",
            Code.INVALID_ARGUMENT,
            permanent=True,
        )
