"""Tells whoever wants to know that a version has come into another state."""

from collections.abc import Callable

from modeldeploy_runtime.servables.states import StateEvent

Listener = Callable[[StateEvent], None]


class EventBus:
    """
    Calls its listeners in the publisher's thread, in the order in which states change.

    The manager publishes while it holds its lock: a listener must be quick and ask the manager
    nothing.  Listeners subscribe before the server starts.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> None:
        """Call somebody at every change from now on."""
        self._listeners = (*self._listeners, listener)

    def publish(self, event: StateEvent) -> None:
        """Tell everybody."""
        for listener in self._listeners:
            listener(event)
