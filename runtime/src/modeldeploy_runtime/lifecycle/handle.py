"""
Keeps a version alive while somebody uses it.

A request holds a ``Handle`` for as long as it runs; a version is unloaded only after the last
handle has been given back, so that a swap of versions never breaks a request.
"""

import threading
from collections.abc import Callable
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
        self._then: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def enter(self) -> bool:
        """Count one user more, unless the lease is closed."""
        with self._lock:
            if self._closed:
                return False
            self._users += 1
            return True

    def leave(self) -> None:
        """Count one user less; the last one to leave a closed lease tells whoever closed it."""
        with self._lock:
            self._users -= 1
            then = None if self._users else self._take()
        if then is not None:
            then()

    def close(self, then: Callable[[], None]) -> None:
        """Let nobody in any more; ``then`` is called once, at once or by the last user's thread."""
        with self._lock:
            self._closed = True
            self._then = then
            ready = None if self._users else self._take()
        if ready is not None:
            ready()

    def expire(self) -> int:
        """Wait no longer for the users of a closed lease, and count those who are still there."""
        with self._lock:
            left = self._users
            then = self._take()
        if then is None:
            return 0
        then()
        return left

    def _take(self) -> Callable[[], None] | None:
        then, self._then = self._then, None
        return then


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
