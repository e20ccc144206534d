"""The loader of one version: brings its files to the disk and has its platform load them."""

import time
from pathlib import Path

from modeldeploy_runtime.loaders.port import LoadWatch, Model, Platform
from modeldeploy_runtime.servables.errors import Code, ServingError
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.sources.port import StoredVersion


class StoredLoader:
    """Loads one version that a source has found; used by one thread at a time."""

    def __init__(
        self, servable: ServableId, version: StoredVersion, platform: Platform, watch: LoadWatch
    ) -> None:
        self._servable = servable
        self._version = version
        self._platform = platform
        self._watch = watch
        self._path: Path | None = None

    def estimate(self) -> int:
        """Bring the files to the disk, and estimate the bytes of memory that they need."""
        self._platform.prepare()
        self._path = self._version.bring()
        return self._platform.estimate(self._path)

    def load(self) -> Model:
        """Load the version, warmed up and ready, or raise a ``LoadError``."""
        path = self._path or self._version.bring()
        started = time.perf_counter()
        code = Code.UNKNOWN
        try:
            model = self._platform.load(self._servable, path)
            code = Code.OK
        except ServingError as error:
            code = error.code
            raise
        finally:
            self._watch.loaded(self._servable, path, code, time.perf_counter() - started)
        try:
            self._watch.warm_up(self._servable, model, path)
        except BaseException:
            model.unload()
            raise
        return model

    def clean(self) -> None:
        """Remove what was brought."""
        self._path = None
        self._version.drop()
