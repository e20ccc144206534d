"""
Gives each model to the source that knows its base path's scheme.

Ours takes paths and every storage that fsspec reads; packages add others, as ``port`` says.
"""

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import fsspec

from modeldeploy_runtime.fetching import uris
from modeldeploy_runtime.fetching.errors import FetchError
from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.sources.cache import VersionCache
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.places import LocalPlace, Place, RemotePlace
from modeldeploy_runtime.sources.port import Sink, Source, SourceOptions
from modeldeploy_runtime.sources.storage_path import StoragePathSource

GROUP = "modeldeploy.sources"
# The platform whose files we can tell to be complete.
_SAVED_MODEL = "tensorflow"


def check_base_path(name: str, text: str) -> str:
    """
    Make sure that a base path is absolute, or a URI that a source knows.

    Raises:
        InvalidArgumentError: It is not.
    """
    if text.startswith("/") or urlsplit(text).scheme in _schemes():
        return text
    try:
        uris.parse(text, more=fsspec.available_protocols())
    except FetchError as error:
        raise InvalidArgumentError(
            f"Expected model {name} to have an absolute path or URI; got base_path()={text} "
            f"({error})"
        ) from error
    return text


def _schemes() -> frozenset[str]:
    return frozenset(entry.name for entry in metadata.entry_points(group=GROUP))


class SourceRouter:
    """All sources as one; threads may call every method at any time."""

    def __init__(self, sink: Sink, options: SourceOptions) -> None:
        self._sink = sink
        self._options = options
        self._cache = VersionCache(options.cache)
        own = StoragePathSource(sink, self._place, options)
        self._sources: dict[str, Source] = {"": own}
        self._of_model: dict[str, str] = {}
        self._started = False

    def set_models(self, models: Iterable[ServedModel]) -> None:
        """
        Replace the models that are looked after.

        Raises:
            InvalidArgumentError: A package that offers a source cannot be used.
        """
        parts: dict[str, list[ServedModel]] = {}
        for model in models:
            scheme = urlsplit(model.base_path).scheme
            key = scheme if scheme in _schemes() else ""
            parts.setdefault(key, []).append(model)
        for key in parts.keys() - self._sources.keys():
            self._add(key)
        self._of_model = {model.name: key for key, part in parts.items() for model in part}
        for key, source in self._sources.items():
            source.set_models(parts.get(key, []))

    def _add(self, scheme: str) -> None:
        (entry, *_) = metadata.entry_points(group=GROUP, name=scheme)
        try:
            source: Source = entry.load()(self._sink, self._options)
        except Exception as error:
            raise InvalidArgumentError(
                f"The source {scheme} of {entry.value} cannot be used: {error}"
            ) from error
        self._sources[scheme] = source
        if self._started:
            source.start()

    def start(self) -> None:
        """Begin to look."""
        self._started = True
        for source in self._sources.values():
            source.start()

    def stop(self) -> None:
        """Look no more."""
        for source in self._sources.values():
            source.stop()

    def close(self) -> None:
        """Clear away what belongs to this process alone."""
        self._cache.close()

    def problem(self, name: str) -> str:
        """Say why a model has no versions, or nothing."""
        source = self._sources.get(self._of_model.get(name, ""))
        return source.problem(name) if source else ""

    def _place(self, model: ServedModel) -> Place:
        location = uris.parse(model.base_path, more=fsspec.available_protocols())
        saved_model = model.platform == _SAVED_MODEL
        if location.protocol == "file":
            return LocalPlace(Path(location.path), saved_model=saved_model)
        return RemotePlace(model.name, location, self._cache, saved_model=saved_model)
