"""
Carries out what the policy decides: the only place that starts threads for loading and unloading.

Sources say which versions are wanted; each change, and the end of each load and unload, makes the
manager ask the policy again for that one model.  Every load and unload has a thread of its own, so
that no model ever waits for another one.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime.lifecycle import policy
from modeldeploy_runtime.lifecycle.handle import Handle, Lease
from modeldeploy_runtime.lifecycle.harness import Harness
from modeldeploy_runtime.loaders.port import Loader, Model
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector, ServableId
from modeldeploy_runtime.servables.states import State, VersionStatus

# Versions that are gone stay in the status, the newest so many of each model.
MAX_ENDED = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a load that may succeed yet is tried again, and after how many seconds."""

    count: int = 5
    interval: float = 60.0


class Manager:
    """
    Holds all versions of all models.

    Threads may call every method at any time.  ``acquire`` takes no lock that a load or unload
    holds: it reads a map that is replaced as a whole.
    """

    def __init__(self, loader: Loader, retries: Retries) -> None:
        self._loader = loader
        self._retries = retries
        self._lock = threading.RLock()
        self._harnesses: dict[str, dict[int, Harness]] = {}
        self._serving: dict[str, dict[int, Lease[Model]]] = {}

    def set_aspired(self, name: str, versions: Mapping[int, Path]) -> None:
        """Replace the wanted versions of one model; what is left out will be unloaded."""
        with self._lock:
            known = self._harnesses.setdefault(name, {})
            for version, harness in list(known.items()):
                if version not in versions and harness.aspired:
                    self._give_up(harness)
            for version, path in versions.items():
                self._want(known, ServableId(name, version), path)
            self._advance(name)

    def acquire(self, selector: Selector) -> Handle:
        """
        Take hold of an available version.

        Raises:
            NotFoundError: No such version is available.
        """
        while True:
            versions = self._serving.get(selector.name)
            if not versions:
                break
            # The newest comes first.
            number = next(iter(versions)) if selector.version is None else selector.version
            lease = versions.get(number)
            if lease is None:
                break
            # A version that closed since the map was read is no longer in the map: look again.
            if lease.enter():
                return Handle(ServableId(selector.name, number), lease)
        raise errors.NotFoundError(f"Servable not found for request: {selector}")

    def statuses(self, name: str) -> list[VersionStatus]:
        """List all known versions of a model, the newest first."""
        with self._lock:
            known = self._harnesses.get(name, {})
            return [known[version].status() for version in sorted(known, reverse=True)]

    def _give_up(self, harness: Harness) -> None:
        harness.set_aspired(aspired=False)
        if harness.state is State.START:
            harness.move(State.END)

    def _want(self, known: dict[int, Harness], servable: ServableId, path: Path) -> None:
        harness = known.get(servable.version)
        ended = harness is not None and harness.state is State.END and not harness.aspired
        if harness is None or ended:
            known[servable.version] = Harness(servable, path)
        else:
            harness.set_aspired(aspired=True)

    def _advance(self, name: str) -> None:
        """Do all that the policy wants now; the caller holds the lock."""
        known = self._harnesses[name]
        while action := policy.next_action([harness.snapshot() for harness in known.values()]):
            harness = known[action.version]
            if action.verb is policy.Verb.LOAD:
                harness.move(State.LOADING)
                _log.info("Loading %s from %s.", harness.id, harness.path)
                self._start(self._load, harness)
            else:
                harness.move(State.UNLOADING)
                _log.info("Unloading %s.", harness.id)
                self._publish(name)
                self._start(self._unload, harness)
        self._forget(known)

    def _start(self, work: Callable[[Harness], None], harness: Harness) -> None:
        # Daemons: a load that hangs must not keep the process from ending.
        threading.Thread(target=work, args=(harness,), name=str(harness.id), daemon=True).start()

    def _publish(self, name: str) -> None:
        """Replace the map from which requests choose versions."""
        available = {
            version: harness.lease
            for version, harness in sorted(self._harnesses[name].items(), reverse=True)
            if harness.state is State.AVAILABLE and harness.lease is not None
        }
        self._serving = {**self._serving, name: available}

    def _load(self, harness: Harness) -> None:
        model, error = self._try_to_load(harness)
        with self._lock:
            if model is None:
                _log.error("%s was not loaded: %s", harness.id, error)
                harness.move(State.END, error)
            else:
                harness.lease = Lease(model)
                harness.move(State.AVAILABLE)
                self._publish(harness.id.name)
                _log.info("%s is available.", harness.id)
            self._advance(harness.id.name)

    def _try_to_load(self, harness: Harness) -> tuple[Model | None, errors.ServingError | None]:
        tries = 0
        while True:
            try:
                return self._loader.load(harness.path), None
            except errors.LoadError as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - a loader may raise anything
                _log.exception("The loader failed on %s.", harness.id)
                failure = errors.LoadError(f"{type(error).__name__}: {error}", permanent=True)
            tries += 1
            if failure.permanent or tries > self._retries.count:
                return None, failure
            _log.warning("%s will be tried again: %s", harness.id, failure)
            if harness.unwanted.wait(max(0.0, self._retries.interval)):
                return None, failure

    def _unload(self, harness: Harness) -> None:
        lease = harness.lease
        if lease is not None:
            lease.close()
            lease.wait_unused()
            harness.lease = None
            self._unload_model(harness, lease.held)
        with self._lock:
            harness.move(State.END)
            _log.info("%s is unloaded.", harness.id)
            if harness.aspired:
                # It was wanted again while it went: it starts anew.
                fresh = Harness(harness.id, harness.path)
                self._harnesses[harness.id.name][harness.id.version] = fresh
            self._advance(harness.id.name)

    def _unload_model(self, harness: Harness, model: Model) -> None:
        try:
            model.unload()
        except Exception:  # noqa: BLE001 - the version is gone either way
            _log.exception("%s did not unload cleanly.", harness.id)

    def _forget(self, known: dict[int, Harness]) -> None:
        ended = [v for v, h in sorted(known.items()) if h.state is State.END and not h.aspired]
        for version in ended[: max(0, len(ended) - MAX_ENDED)]:
            del known[version]
