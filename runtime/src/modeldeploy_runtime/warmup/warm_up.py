"""Warms up one version, in the thread that loads it."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime.inference import predict
from modeldeploy_runtime.loaders.port import Model
from modeldeploy_runtime.servables.errors import Code, LoadError, ServingError
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.telemetry.metrics import Metrics
from modeldeploy_runtime.warmup import records, replay, synthetic

# Another try may help against these.
_TRANSIENT = frozenset({Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.ABORTED})

LINEAGE = Path("assets.extra", "mlmd_uuid")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WarmUpOptions:
    """
    What a person may decide.

    ``iterations`` below 1 stands for 1; ``is_required`` makes a failing record fail the load, as
    TensorFlow Serving does; ``made_up`` makes up inputs where no file is given.
    """

    enabled: bool = True
    iterations: int = 1
    is_required: bool = True
    made_up: bool = False


class WarmUp:
    """
    Warms up versions, and counts loads and warm-ups; threads may call every method at any time.

    ``sizes_of`` lists the batch sizes that the version in a folder is going to see.
    """

    def __init__(
        self,
        options: WarmUpOptions,
        metrics: Metrics,
        sizes_of: Callable[[Path], Sequence[int]] = lambda _: (1,),
    ) -> None:
        self._options = options
        self._metrics = metrics
        self._sizes_of = sizes_of

    def loaded(self, servable: ServableId, path: Path, code: Code, seconds: float) -> None:
        """Count one try of a platform to load a version."""
        # TensorFlow calls the part of a load that brings graph and variables back so.
        self._metrics.load_attempted(servable, str(path), code.name, {"restore_graph": seconds})
        if (path / LINEAGE).exists():
            self._metrics.has_lineage(servable)

    def warm_up(self, servable: ServableId, model: Model, path: Path) -> None:
        """
        Warm up a version that was loaded from a folder.

        Raises:
            LoadError: A recorded request cannot be replayed, and must be.
        """
        if not self._options.enabled:
            return
        file = path / records.FILE
        if file.exists():
            self._replay(servable, model, file)
        elif self._options.made_up:
            self._make_up(servable, model, path)

    def _replay(self, servable: ServableId, model: Model, file: Path) -> None:
        started = time.perf_counter()
        count, code = 0, Code.OK
        try:
            for log in records.read(file):
                count += 1
                for _ in range(max(1, self._options.iterations)):
                    replay.run(model, log)
        except ServingError as error:
            code = error.code
            if self._options.is_required:
                _log.error("Record %d of %s cannot be replayed.", count, file)
                raise LoadError(error.message, code, permanent=code not in _TRANSIENT) from error
            _log.warning("%s was not warmed up as recorded: %s", servable, error.message)
        finally:
            seconds = time.perf_counter() - started
            # The path of a version in TensorFlow Serving's metrics is that of its folder.
            self._metrics.warmed_up(servable, str(file.parent.parent), code.name, seconds, count)
        _log.info("Replayed %d warm-up records of %s.", count, servable)

    def _make_up(self, servable: ServableId, model: Model, path: Path) -> None:
        started = time.perf_counter()
        count, sizes = 0, self._sizes_of(path)
        for signature in model.signatures.values():
            for inputs in synthetic.inputs(signature, sizes):
                try:
                    predict.run(signature, inputs, (), None)
                except ServingError as error:
                    _log.warning(
                        "%s cannot be warmed up with made-up inputs of its signature %s: %s",
                        servable,
                        signature.name,
                        error.message,
                    )
                    break
                count += 1
        self._metrics.warmed_up(
            servable, str(path), Code.OK.name, time.perf_counter() - started, count
        )
        _log.info("Ran %s %d times with made-up inputs.", servable, count)
