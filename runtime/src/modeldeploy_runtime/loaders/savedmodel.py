"""
SavedModels: the only door to TensorFlow.

Models are loaded as TensorFlow Serving loads them, by the v1 loader into a session of their own,
and called through the session's C++ callable in the thread that asks.  That costs microseconds
where ``tf.saved_model.load`` and its signatures cost a hundred, and it serves models that the
latter refuses.

TensorFlow takes seconds and half a gigabyte to import, so that it is imported at the first load:
``modeldeploy-server fetch`` never pays for it.
"""

import contextlib
import functools
import gc
import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldeploy_runtime.loaders import cpus, memory, signatures
from modeldeploy_runtime.loaders.graphs import Graphs, SharedGraph
from modeldeploy_runtime.loaders.port import LoadOptions
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.tensors.dtypes import Array

# OptimizerOptions.ON_1 and RewriterConfig.ON.
_JIT_ON = _REWRITE_ON = 1

_log = logging.getLogger(__name__)

# Another try may help against these; all others lie in the files.
_TRANSIENT = frozenset(
    {errors.Code.RESOURCE_EXHAUSTED, errors.Code.UNAVAILABLE, errors.Code.ABORTED}
)
# Signatures that loaders use among themselves; clients see them described and cannot call them.
_INTERNAL = "__saved_model_"


@functools.cache
def tensorflow() -> Any:
    """Import TensorFlow, once and quietly."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow loads a Keras on its own; asked for the old one, which is not here, it does not,
    # and starts a second faster and 70 MB smaller.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import tensorflow as tf  # noqa: PLC0415 - see the module's docstring

    tf.get_logger().setLevel(logging.ERROR)
    # A Python thread that computes would otherwise hold up each returning model call by 5 ms.
    sys.setswitchinterval(5e-4)
    return tf


@functools.cache
def _settle_garbage_collector() -> None:
    """
    Take everything that exists by now out of the collector's sight, once per process.

    With TensorFlow's heap a full collection stops all threads for 150 ms.  Freezing after each load
    would keep unloaded models for ever.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


class SavedModel:
    """One loaded SavedModel: a session, and the callables of its signatures."""

    def __init__(self, session: Any, shared: SharedGraph) -> None:
        self._session = session
        self._shared = shared
        self.signature_defs = shared.signature_defs
        self.signatures = {
            name: signatures.SessionSignature(name, serialized, self._make_callable)
            for name, serialized in shared.signature_defs.items()
            if not name.startswith(_INTERNAL)
        }
        self._graph = signatures.GraphCalls(self._make_callable)

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], targets: Sequence[str]
    ) -> list[Array]:
        """Feed and fetch tensors by the names in the graph; errors come as ``ServingError``."""
        return self._graph.run(feeds, fetches, targets)

    def _make_callable(
        self, feeds: Iterable[str], fetches: Iterable[str], targets: Iterable[str] = ()
    ) -> Any:
        from tensorflow.core.protobuf import config_pb2  # noqa: PLC0415 - as in tensorflow()

        options = config_pb2.CallableOptions()
        options.feed.extend(feeds)
        options.fetch.extend(fetches)
        options.target.extend(targets)
        # -1: the whole graph runs in the calling thread.
        options.run_options.inter_op_thread_pool = -1
        return self._session._make_callable_from_options(options)  # noqa: SLF001 - the only way in

    def prepare(self) -> None:
        """Have TensorFlow compile every signature now: it would do so at the first request."""
        for signature in self.signatures.values():
            # Whatever is wrong with a signature, its requests will be told.
            with contextlib.suppress(Exception):
                signature.prepare()

    def unload(self) -> None:
        """Close the session and give its memory back."""
        self.signatures.clear()
        del self._graph
        self._session.close()
        del self._session, self._shared
        gc.collect()
        memory.give_back()


class SavedModelPlatform:
    """Loads SavedModels: the platform ``tensorflow``."""

    def __init__(self, options: LoadOptions) -> None:
        self._options = options
        self._first_load = threading.Lock()
        self._prepared = False
        self._graphs = Graphs(options.tags)

    def prepare(self) -> None:
        """
        Import TensorFlow, and have it make the threads that all models share.

        They would otherwise be made by the first load and be as nice as its thread.
        """
        with self._first_load:
            if self._options.compile_for_cpu and not self._prepared:
                # TensorFlow reads this when it is imported, and ignores the session's wish without.
                given = os.environ.get("TF_XLA_FLAGS", "")
                os.environ["TF_XLA_FLAGS"] = f"{given} --tf_xla_cpu_global_jit".strip()
            v1 = tensorflow().compat.v1
            if not self._prepared:
                v1.Session(graph=v1.Graph(), config=self._config()).close()
                self._prepared = True

    def estimate(self, path: Path) -> int:
        """Estimate the bytes of memory by the size of the files."""
        return memory.size_of(path)

    def load(self, _servable: ServableId, path: Path) -> SavedModel:
        """
        Load one version.

        Raises:
            LoadError: The files cannot be loaded.
        """
        self.prepare()
        try:
            model = self._open(path)
            model.prepare()
        except Exception as error:
            raise _as_load_error(error) from error
        with self._first_load:
            _settle_garbage_collector()
        return model

    def _open(self, path: Path) -> SavedModel:
        session, graph = self._graphs.open(tensorflow(), path, self._config())
        return SavedModel(session, graph)

    def _config(self) -> Any:
        options = self._options
        config = tensorflow().compat.v1.ConfigProto.FromString(options.session_config)
        for name, wanted, default in (
            ("intra_op_parallelism_threads", options.intra_op_threads, cpus.available()),
            ("inter_op_parallelism_threads", options.inter_op_threads, 1),
        ):
            setattr(config, name, wanted or getattr(config, name) or default)
        if options.compile_for_cpu:
            config.graph_options.optimizer_options.global_jit_level = _JIT_ON
        if options.bfloat16:
            rewrites = config.graph_options.rewrite_options
            rewrites.auto_mixed_precision_onednn_bfloat16 = _REWRITE_ON
        return config


def _as_load_error(error: Exception) -> errors.LoadError:
    if isinstance(error, errors.LoadError):
        return error
    translated = signatures.translate(error)
    if translated is not None:
        permanent = translated.code not in _TRANSIENT
        return errors.LoadError(translated.message, translated.code, permanent=permanent)
    # The v1 loader reports bad files by OSErrors of its own making, which have no number.
    may_pass = isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno is not None
    )
    return errors.LoadError(f"{type(error).__name__}: {error}", permanent=not may_pass)
