"""
Handlers only say which object to look at; which event came never matters.
"""

from collections.abc import Callable
from typing import Any

import kopf

from modeldeploy_operator import handlers


def _handlers(ask: Callable[[str, str], None]) -> dict[str, Any]:
    registry = kopf.OperatorRegistry()
    handlers.register(registry, ask)
    return {handler.id: handler.fn for handler in registry._watching._handlers}


async def test_every_event_asks_for_a_look() -> None:
    """
    Whatever happens to an object asks for a look at it, its deletion too.
    """
    asked = []
    on_object = _handlers(lambda *key: asked.append(key))["object"]
    for kind in ("ADDED", "MODIFIED", "DELETED", None):
        await on_object(event={"type": kind}, namespace="vision", name="mnist")
    assert asked == [("vision", "mnist")] * 4


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
