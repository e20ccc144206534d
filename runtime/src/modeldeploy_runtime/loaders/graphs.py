"""
Graphs of SavedModels, each held once however many versions have it.

Versions of one model often differ in their variables alone: their ``saved_model.pb`` is the same to
the byte.  Such versions share TensorFlow's graph and restore only their variables, each into a
session of its own; the graph goes with the last of them.  Importing a graph is also the one part of
a load that holds the interpreter, and with it every request, for as long as it takes.
"""

import hashlib
import logging
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

FILE = "saved_model.pb"


class SharedGraph:
    """An imported graph, with what restores its variables."""

    def __init__(self, graph: Any, saver: Any, signature_defs: Mapping[str, Any]) -> None:
        self.graph = graph
        self.saver = saver
        self.signature_defs = {
            name: definition.SerializeToString() for name, definition in signature_defs.items()
        }


class Graphs:
    """Finds or imports graphs; threads may call it at any time."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._tags = list(tags)
        self._graphs: weakref.WeakValueDictionary[bytes, SharedGraph] = (
            weakref.WeakValueDictionary()
        )
        self._lock = threading.Lock()

    def open(self, tensorflow: Any, path: Path, config: Any) -> tuple[Any, SharedGraph]:
        """
        Make a session with a version's variables, and name the graph, which must outlive it.

        TensorFlow's errors come as they are.
        """
        # The pieces of v1.saved_model.load, which always imports.
        from tensorflow.python.saved_model.loader_impl import (  # noqa: PLC0415 - see savedmodel
            SavedModelLoader,
        )

        loader = SavedModelLoader(str(path))
        shared = self._find(tensorflow, path, loader)
        session = tensorflow.compat.v1.Session(graph=shared.graph, config=config)
        try:
            loader.restore_variables(session, shared.saver)
            loader.run_init_ops(session, self._tags)
        except BaseException:
            session.close()
            raise
        return session, shared

    def _find(self, tensorflow: Any, path: Path, loader: Any) -> SharedGraph:
        digest = _digest(path / FILE)
        with self._lock:
            known = self._graphs.get(digest) if digest else None
        if known is not None:
            _log.info("%s has the graph of a loaded version, and shares it.", path)
            return known
        graph = tensorflow.compat.v1.Graph()
        saver, _ = loader.load_graph(graph, self._tags)
        meta_graph = loader.get_meta_graph_def_from_tags(self._tags)
        imported = SharedGraph(graph, saver, meta_graph.signature_def)
        if not digest:
            return imported
        with self._lock:
            return self._graphs.setdefault(digest, imported)


def _digest(path: Path) -> bytes | None:
    """Compute what tells one graph from another; a graph written as text is never shared."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
