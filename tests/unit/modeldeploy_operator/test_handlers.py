"""
Handlers only say which object to look at; which event came never matters.
"""

from typing import Any

import kopf

from modeldeploy_operator import handlers
from modeldeploy_operator.queue import WorkQueue


class Asked(WorkQueue):
    """
    A queue that looks at nothing and notes what it was told.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def ask(self, namespace: str, name: str) -> None:
        """
        Note a call.
        """
        self.told.append(("ask", namespace, name))


def _handlers(queue: WorkQueue) -> dict[str, Any]:
    registry = kopf.OperatorRegistry()
    handlers.register(registry, queue)
    return {handler.id: handler.fn for handler in registry._watching._handlers}


async def test_every_event_asks_for_a_look() -> None:
    """
    Whatever happens to an object asks for a look at it, its deletion too.
    """
    asked = Asked()
    on_object = _handlers(asked)["object"]
    for kind in ("ADDED", "MODIFIED", "DELETED", None):
        await on_object(event={"type": kind}, namespace="vision", name="mnist")
    assert asked.told == [("ask", "vision", "mnist")] * 4


def test_kopf_writes_nothing_of_its_own() -> None:
    """
    No events by kopf, and watches that end by themselves.
    """
    settings = kopf.OperatorSettings()
    handlers.configure(settings)
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    watching = settings.watching
    assert 0 < (watching.server_timeout or 0) < (watching.client_timeout or 0)
