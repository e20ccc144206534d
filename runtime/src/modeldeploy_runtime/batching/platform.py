"""
Puts batching around every model that is loaded, as the flags and the model's own file say.
"""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from modeldeploy_runtime.batching import parameters
from modeldeploy_runtime.batching.model import BatchedModel
from modeldeploy_runtime.batching.parameters import BatchingParameters
from modeldeploy_runtime.batching.scheduler import Scheduler
from modeldeploy_runtime.batching.stats import BatchingStats
from modeldeploy_runtime.loaders import cpus
from modeldeploy_runtime.loaders.port import Model, Platform
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import ServableId

_log = logging.getLogger(__name__)


class Batching:
    """
    The batching of a server: one pool of threads, and one set of counts, for all models.

    With ``per_model``, each version's folder says how it is batched, and one that says nothing is
    not batched: what was given for all then only makes the pool of threads.  Threads may call every
    method at any time.
    """

    def __init__(self, for_all: BatchingParameters, *, per_model: bool = False) -> None:
        self.stats = BatchingStats()
        self._for_all = for_all
        self._per_model = per_model
        threads = for_all.num_batch_threads or cpus.available()
        self._scheduler = Scheduler(threads, for_all.thread_pool_name)
        self._models: dict[ServableId, BatchedModel] = {}
        self._lock = threading.Lock()

    def wrap(self, platform: Platform) -> Platform:
        """Make a platform whose models compute in batches."""
        return _BatchedPlatform(platform, self)

    def waiting_rows(self) -> Mapping[tuple[ServableId, str], int]:
        """Tell how many rows wait now, for each signature of each version that is batched."""
        with self._lock:
            models = dict(self._models)
        return {
            (servable, name): signature.waiting_rows
            for servable, model in models.items()
            for name, signature in dict(model.signatures).items()
        }

    def chosen(self, path: Path) -> BatchingParameters | None:
        """
        Find out how a version is batched; ``None`` means not at all.

        Raises:
            LoadError: The version's own file is wrong.
        """
        return self._own(path) if self._per_model else self._for_all

    def sizes(self, path: Path) -> tuple[int, ...]:
        """
        List the batch sizes that a version is filled up to; without any, one row is the least.

        Raises:
            LoadError: The version's own file is wrong.
        """
        how = self.chosen(path)
        return (how.allowed_batch_sizes if how else ()) or (1,)

    def dress(self, servable: ServableId, model: Model, how: BatchingParameters) -> Model:
        """Put batching around a loaded version."""

        def forget() -> None:
            with self._lock:
                self._models.pop(servable, None)

        batched = BatchedModel(model, how, self._scheduler, self.stats, forget)
        with self._lock:
            self._models[servable] = batched
        return batched

    def _own(self, path: Path) -> BatchingParameters | None:
        file = path / parameters.MODEL_FILE
        try:
            own = parameters.parse(file.read_text(), str(file))
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise _bad(f"{file} is no text: {error}") from error
        except errors.InvalidArgumentError as error:
            raise _bad(error.message) from error
        for remark in own.remarks:
            _log.warning("%s: %s", file, remark)
        return own


class _BatchedPlatform:
    """A platform whose models compute in batches."""

    def __init__(self, inner: Platform, batching: Batching) -> None:
        self._inner = inner
        self._batching = batching

    def prepare(self) -> None:
        """Do what depends on no model."""
        self._inner.prepare()

    def estimate(self, path: Path) -> int:
        """Estimate the bytes of memory that a version will need."""
        return self._inner.estimate(path)

    def load(self, servable: ServableId, path: Path) -> Model:
        """
        Load one version.

        Raises:
            LoadError: It cannot be loaded, or its file of batching parameters is wrong.
        """
        how = self._batching.chosen(path)
        model = self._inner.load(servable, path)
        return model if how is None else self._batching.dress(servable, model, how)


def _bad(message: str) -> errors.LoadError:
    return errors.LoadError(message, errors.Code.INVALID_ARGUMENT, permanent=True)
