"""
One try to load one version, in the thread of whoever calls: files, memory, model, check.

What a load took is measured where it was the only change under way; the estimate stands otherwise.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modeldeploy_runtime.lifecycle.memory import Reservations
from modeldeploy_runtime.loaders.memory import Room
from modeldeploy_runtime.loaders.port import Loader, Model
from modeldeploy_runtime.servables.errors import Code, LoadError
from modeldeploy_runtime.servables.ids import ServableId

Check = Callable[[Model], Sequence[str]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready, and the bytes of memory that it holds."""

    model: Model
    memory: int


@dataclass(frozen=True, slots=True)
class MustWait:
    """There is not enough memory, and somebody else is about to give some back."""

    reason: str


class Loading:
    """Carries out tries; threads may call it at any time, with the manager's lock or without."""

    def __init__(self, room: Callable[[], Room], lock: threading.RLock) -> None:
        self._room = room
        self._lock = lock
        self.reservations = Reservations()

    def try_to_load(self, servable: ServableId, loader: Loader, check: Check) -> Loaded | MustWait:
        """
        Load a version, or find that it has to wait for memory.

        Raises:
            LoadError: It cannot be loaded now, or not at all.
        """
        try:
            return self._try(servable, loader, check)
        except LoadError:
            raise
        except Exception as error:
            _log.exception("The loader failed on %s.", servable)
            raise LoadError(f"{type(error).__name__}: {error}", permanent=True) from error

    def _try(self, servable: ServableId, loader: Loader, check: Check) -> Loaded | MustWait:
        need = loader.estimate()
        with self._lock:
            before = self._room()
            if not self.reservations.reserve(servable, need, before):
                refusal = self.reservations.refusal(servable, need, before)
                if self.reservations.under_way:
                    return MustWait(refusal.message)
                raise refusal
            begun, alone = self.reservations.begun, self.reservations.under_way == 1
        try:
            model = loader.load()
            self._check(model, check)
            with self._lock:
                grown = self._room().used - before.used
                measured = alone and begun == self.reservations.begun
            return Loaded(model, max(0, grown) if measured else need)
        finally:
            with self._lock:
                self.reservations.release(servable)

    def _check(self, model: Model, check: Check) -> None:
        differences = check(model)
        if differences:
            model.unload()
            raise LoadError(
                "Its interface breaks that of the version that serves now: "
                + " ".join(differences),
                Code.FAILED_PRECONDITION,
                permanent=True,
            )
