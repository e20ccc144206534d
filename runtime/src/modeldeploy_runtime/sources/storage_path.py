"""
Finds versions below base paths, again and again.

Each folder below a model's base path whose name is a number is a version (or any name, where that
is wanted).  One that is incomplete is not taken, and nothing is ever given up because a listing
failed or came back empty: a storage that is away for a moment must not take the models with it.
"""

import threading
from collections.abc import Callable, Iterable

from modeldeploy_runtime.fetching.errors import FetchError
from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.places import Place
from modeldeploy_runtime.sources.port import Sink, SourceOptions, StoredVersion
from modeldeploy_runtime.sources.watch import Watch
from modeldeploy_runtime.threads import Timers, Workers

# So many base paths may hang at the same time before others have to wait for them.
MAX_LOOKERS = 64


class StoragePathSource:
    """
    Looks at each model's base path on its own, so that one that hangs holds up no other.

    A poll of 0 seconds looks until everything has been judged, and then no more.
    """

    def __init__(
        self, sink: Sink, place_of: Callable[[ServedModel], Place], options: SourceOptions
    ) -> None:
        self._sink = sink
        self._place_of = place_of
        self._options = options
        self._watches: dict[str, Watch] = {}
        self._lock = threading.Lock()
        self._started = self._stopped = False
        self._timers = Timers("source-timers")
        self._lookers = Workers("source", MAX_LOOKERS)

    def set_models(self, models: Iterable[ServedModel]) -> None:
        """Replace the models that are looked after; one that did not change is left alone."""
        wanted = {model.name: model for model in models}
        with self._lock:
            gone = [watch for name, watch in self._watches.items() if name not in wanted]
            fresh = [model for model in wanted.values() if self._is_new(model)]
            for watch in gone:
                watch.close()
                del self._watches[watch.model.name]
            for model in fresh:
                self._watch(model)
        for watch in gone:
            self._sink(watch.model, ())

    def _is_new(self, model: ServedModel) -> bool:
        known = self._watches.get(model.name)
        return known is None or known.model.place != model.place

    def _watch(self, model: ServedModel) -> None:
        before = self._watches.get(model.name)
        if before is not None:
            before.close()
        place = self._place_of(model)
        watch = self._watches[model.name] = Watch(model, place, self._options, before)
        if self._started:
            self._look_soon(watch)

    def start(self) -> None:
        """Begin to look."""
        with self._lock:
            self._started = True
            for watch in self._watches.values():
                self._look_soon(watch)

    def stop(self) -> None:
        """Look no more."""
        with self._lock:
            for watch in self._watches.values():
                watch.close()

    def problem(self, name: str) -> str:
        """Say what was wrong with a model's base path when it was last looked at, or nothing."""
        with self._lock:
            watch = self._watches.get(name)
        return watch.problem if watch else ""

    def poll(self) -> bool:
        """Look at every model once; return whether no version is left to be judged."""
        with self._lock:
            watches = list(self._watches.values())
        for watch in watches:
            self._look(watch)
        return all(watch.settled for watch in watches)

    def _look_soon(self, watch: Watch) -> None:
        if self._options.poll_seconds >= 0:
            self._lookers.submit(lambda: self._look_and_go_on(watch))

    def _look_and_go_on(self, watch: Watch) -> None:
        self._look(watch)
        wait = watch.wait()
        if wait is not None and not watch.closed:
            self._timers.after(wait, lambda: self._look_soon(watch))

    def _look(self, watch: Watch) -> None:
        if watch.closed:
            return
        try:
            wanted = watch.look()
        except (OSError, FetchError) as error:
            watch.failed(f"Its base path cannot be read: {error}")
            return
        if wanted is not None and not watch.closed:
            self._sink(watch.model, [_data(watch, name) for name in wanted])


def _data(watch: Watch, version: str) -> ServableData[StoredVersion]:
    servable = ServableId(watch.model.name, ids.version_number(version), version)
    return ServableData(servable, watch.place.stored(version))
