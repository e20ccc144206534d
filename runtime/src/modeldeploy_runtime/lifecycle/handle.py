"""
Keeps a version alive while somebody uses it.

A request holds a ``Handle`` for as long as it runs; a version is unloaded only after the last
handle has been given back, so that a swap of versions never breaks a request.
"""

import threading
from types import TracebackType
from typing import Generic, Self, TypeVar

from modeldeploy_runtime.loaders.port import Model
from modeldeploy_runtime.servables.ids import ServableId

Held = TypeVar("Held")


class Lease(Generic[Held]):
    """
    A counted reference to something that must not go while it is used.

    Threads may call every method at any time.  After ``close`` nobody can enter any more.
    """

    def __init__(self, held: Held) -> None:
        self.held = held
        self._users = 0
        self._closed = False
        self._changed = threading.Condition(threading.Lock())

    def enter(self) -> bool:
        """Count one user more, unless the lease is closed."""
        with self._changed:
            if self._closed:
                return False
            self._users += 1
            return True

    def leave(self) -> None:
        """Count one user less."""
        with self._changed:
            self._users -= 1
            if not self._users and self._closed:
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._changed:
            self._closed = True

    def wait_unused(self) -> None:
        """Return when the last user has left a closed lease."""
        with self._changed:
            self._changed.wait_for(lambda: not self._users)


class Handle:
    """A model that stays loaded until the handle is given back, once, by leaving the ``with``."""

    __slots__ = ("_lease", "id", "model")

    def __init__(self, servable: ServableId, lease: Lease[Model]) -> None:
        self.id = servable
        self.model = lease.held
        self._lease = lease

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lease.leave()
