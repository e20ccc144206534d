"""
Routers: what each says of itself. A pure module.
"""

from collections.abc import Mapping
from typing import Any

from modeldeploy_operator.rollout.snapshot import Router

SILENT = Router(generation=-1)
"""A ready router pod that does not answer: it has confirmed nothing."""


def router_of(status: Mapping[str, Any] | None) -> Router:
    """
    Read a router's status; one that did not answer, or not in our form, has confirmed nothing.
    """
    if status is None:
        return SILENT
    try:
        up = {pool["revision"]: int(pool["up"]) for pool in status["slots"].values()}
        tripped = status.get("tripped") or {}
        return Router(
            generation=int(status["generation"]),
            up=up,
            tripped=str(tripped.get("revision", "")),
            why=str(tripped.get("message", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return SILENT
