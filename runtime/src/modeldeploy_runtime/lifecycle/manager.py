"""
Carries out what the policy decides.

Sources say which versions are wanted; each change, and the end of each load and unload, makes the
manager ask the policy again for that one model.  Whatever may take long runs in threads of
``workers``, and nothing waits there: a load that must be tried again, or that needs memory which
others hold, gives its thread back.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from modeldeploy_runtime.lifecycle import policy
from modeldeploy_runtime.lifecycle.events import EventBus
from modeldeploy_runtime.lifecycle.handle import Handle, Lease
from modeldeploy_runtime.lifecycle.harness import Harness
from modeldeploy_runtime.lifecycle.loading import Loaded, Loading, MustWait
from modeldeploy_runtime.lifecycle.options import Options, SignatureDefs
from modeldeploy_runtime.lifecycle.serving_map import ServingMap
from modeldeploy_runtime.loaders.memory import Room
from modeldeploy_runtime.loaders.port import Loader, Model
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.servables.states import State, StateEvent, VersionStatus
from modeldeploy_runtime.threads import Timers, Workers

# Versions that are gone stay in the status, the newest so many of each model.
MAX_ENDED = 20

# A load must not take processor time from requests.
LOAD_NICE = 10

_log = logging.getLogger(__name__)


class Manager:
    """
    Holds all versions of all models.

    Threads may call every method at any time.  ``acquire`` takes no lock that a load or unload
    holds: it reads a map that is replaced as a whole.
    """

    def __init__(self, options: Options, room: Callable[[], Room], bus: EventBus) -> None:
        self._options = options
        self._bus = bus
        self._lock = threading.RLock()
        self._harnesses: dict[str, dict[int, Harness]] = {}
        self._serving = ServingMap()
        # Versions that wait for memory.
        self._starved: list[Harness] = []
        # What the last model of each name that went could be asked, by serialised SignatureDefs.
        self._interfaces: dict[str, SignatureDefs] = {}
        self._loading = Loading(room, self._lock)
        self._first = Workers("first-load", options.first_load_threads, LOAD_NICE)
        self._loads = Workers("load", options.load_threads, LOAD_NICE)
        self._unloads = Workers("unload", options.unload_threads, LOAD_NICE)
        self._timers = Timers("lifecycle-timers")

    def set_aspired(self, name: str, versions: Sequence[ServableData[Loader]]) -> None:
        """Replace the wanted versions of one model; what is left out will be unloaded."""
        with self._lock:
            known = self._harnesses.setdefault(name, {})
            wanted = {data.id.version for data in versions}
            for version, harness in known.items():
                if version not in wanted and harness.aspired:
                    self._give_up(harness)
            for data in versions:
                self._want(known, data)
            self._harnesses[name] = dict(sorted(known.items(), key=lambda item: item[1].id.rank))
            self._advance(name)

    def acquire(self, selector: Selector) -> Handle:
        """
        Take hold of an available version.

        Raises:
            NotFoundError: No such version is available.
        """
        return self._serving.acquire(selector)

    def statuses(self, name: str) -> list[VersionStatus]:
        """List all known versions of a model, the newest first."""
        with self._lock:
            known = self._harnesses.get(name, {})
            return [harness.status() for harness in reversed(known.values())]

    def _give_up(self, harness: Harness) -> None:
        harness.aspired = False
        if harness.state is State.START or harness.parked:
            self._end(harness)

    def _want(self, known: dict[int, Harness], data: ServableData[Loader]) -> None:
        harness = known.get(data.id.version)
        if harness is None or (harness.state is State.END and not harness.aspired):
            known[data.id.version] = self._begin(data)
        else:
            harness.aspired = True
            harness.data = data if harness.state is State.START else harness.data

    def _begin(self, data: ServableData[Loader]) -> Harness:
        harness = Harness(data)
        self._bus.publish(StateEvent(harness.id, State.START, None, harness.since))
        if isinstance(data.value, errors.ServingError):
            _log.error("%s cannot be loaded: %s", data.id, data.value)
            self._move(harness, State.END, data.value)
        return harness

    def _move(
        self, harness: Harness, state: State, error: errors.ServingError | None = None
    ) -> None:
        """Change a state, tell everybody, and change what requests find with it."""
        event = harness.move(state, error)
        if state is State.UNLOADING:
            self._bus.publish(event)
        if state in {State.AVAILABLE, State.UNLOADING}:
            self._serving.publish(harness.id.name, self._harnesses[harness.id.name].values())
        if state is not State.UNLOADING:
            self._bus.publish(event)

    def _advance(self, name: str) -> None:
        """Do all that the policy wants now; the caller holds the lock."""
        known = self._harnesses[name]
        while action := self._options.policy([harness.snapshot() for harness in known.values()]):
            harness = known[action.version]
            if action.verb is policy.Verb.LOAD:
                self._move(harness, State.LOADING)
                _log.info("Loading %s.", harness.id)
                self._submit(harness)
            else:
                _log.info("Unloading %s.", harness.id)
                self._unload(harness)
        self._forget(known)

    def _submit(self, harness: Harness) -> None:
        """Have a load tried; a model that answers nothing yet waits for no replacement."""
        workers = self._loads if self._serving.newest(harness.id.name) else self._first
        harness.parked, harness.alarm = False, None
        workers.submit(lambda: self._load(harness))

    def _load(self, harness: Harness) -> None:
        """Try once, in a thread, and take note of what came of it."""
        loader = harness.data.value
        if harness.state is not State.LOADING or isinstance(loader, errors.ServingError):
            return
        outcome: Loaded | MustWait | errors.LoadError
        try:
            outcome = self._loading.try_to_load(
                harness.id, loader, lambda model: self._differences(harness, model)
            )
        except errors.LoadError as error:
            outcome = error
        with self._lock:
            match outcome:
                case Loaded():
                    self._loaded(harness, outcome)
                case MustWait():
                    self._starve(harness, outcome.reason)
                    return
                case _:
                    self._failed(harness, outcome)
            self._feed()
            self._advance(harness.id.name)

    def _loaded(self, harness: Harness, loaded: Loaded) -> None:
        harness.memory = loaded.memory
        harness.lease = Lease(loaded.model)
        self._move(harness, State.AVAILABLE)
        _log.info("%s is available after %.2f s.", harness.id, harness.load_seconds)

    def _failed(self, harness: Harness, error: errors.LoadError) -> None:
        harness.tries += 1
        if error.permanent or harness.tries > self._options.retries.count or not harness.aspired:
            _log.error("%s was not loaded: %s", harness.id, error)
            self._end(harness, error)
            return
        wait = self._options.retries.wait(harness.tries)
        _log.warning("%s will be tried again in %g s: %s", harness.id, wait, error)
        harness.park(str(error), self._timers.after(wait, lambda: self._retry(harness)))

    def _retry(self, harness: Harness) -> None:
        with self._lock:
            if harness.parked:
                self._submit(harness)

    def _starve(self, harness: Harness, reason: str) -> None:
        """Let a load wait until somebody gives memory back."""
        if not harness.aspired:
            self._end(harness)
            self._advance(harness.id.name)
            return
        _log.info("%s waits for other loads and unloads: %s", harness.id, reason)
        harness.park(reason)
        if self._loading.reservations.under_way:
            self._starved.append(harness)
        else:
            # Whoever was about to give memory back has done so in the meantime.
            self._submit(harness)

    def _feed(self) -> None:
        """Memory may have come free: whoever waits for some may try."""
        starved, self._starved = self._starved, []
        for harness in starved:
            self._retry(harness)

    def _differences(self, harness: Harness, model: Model) -> Sequence[str]:
        """Compare a new model with the one whose place it takes."""
        with self._lock:
            serving = self._serving.newest(harness.id.name)
            if self._options.check is None:
                return ()
            before = self._interfaces.get(harness.id.name)
            if serving is not None:
                known = self._harnesses[harness.id.name][serving.id.version]
                if known.aspired and serving.id.rank > harness.id.rank:
                    return ()
                before = serving.lease.held.signature_defs
        return self._options.check(before, model.signature_defs) if before is not None else ()

    def _end(self, harness: Harness, error: errors.ServingError | None = None) -> None:
        """A version that was never available is at its end."""
        self._move(harness, State.END, error)
        self._clean(harness)

    def _clean(self, harness: Harness) -> None:
        """Have what was brought for a version removed, in a thread: a disk may be slow."""
        loader = harness.data.value
        if not isinstance(loader, errors.ServingError):
            self._unloads.submit(loader.clean)

    def _unload(self, harness: Harness) -> None:
        """Let no new request in, and unload when the last one has been answered."""
        self._move(harness, State.UNLOADING)
        self._loading.reservations.unloading(harness.id)
        if (lease := harness.lease) is None:
            return
        self._interfaces[harness.id.name] = lease.held.signature_defs
        lease.close(lambda: self._unloads.submit(lambda: self._unload_now(harness, lease)))
        if self._options.unload_timeout:
            harness.alarm = self._timers.after(
                self._options.unload_timeout, lambda: self._cut(harness, lease)
            )

    def _cut(self, harness: Harness, lease: Lease[Model]) -> None:
        if left := lease.expire():
            _log.warning(
                "%s is unloaded under %d requests, which did not end within %g s.",
                harness.id,
                left,
                self._options.unload_timeout,
            )

    def _unload_now(self, harness: Harness, lease: Lease[Model]) -> None:
        try:
            lease.held.unload()
        except Exception:  # noqa: BLE001 - the version is gone either way
            _log.exception("%s did not unload cleanly.", harness.id)
        harness.lease = None
        with self._lock:
            self._loading.reservations.release(harness.id)
            self._move(harness, State.END)
            _log.info("%s is unloaded.", harness.id)
            known = self._harnesses[harness.id.name]
            if harness.aspired:
                # It was wanted again while it went: it starts anew.
                known[harness.id.version] = self._begin(harness.data)
            else:
                self._clean(harness)
            self._feed()
            self._advance(harness.id.name)

    def _forget(self, known: dict[int, Harness]) -> None:
        ended = [v for v, h in known.items() if h.state is State.END and not h.aspired]
        for version in ended[: max(0, len(ended) - MAX_ENDED)]:
            del known[version]
