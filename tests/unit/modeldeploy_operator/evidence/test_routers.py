"""
Routers: what each says of itself, and what silence means.
"""

from typing import Any

import pytest

from modeldeploy_operator.evidence.routers import SILENT, router_of
from modeldeploy_operator.rollout.snapshot import Router, Routing, Snapshot


def test_a_status_becomes_a_router() -> None:
    """
    The confirmed generation and the healthy endpoints of each revision are read.
    """
    status = {"generation": 7, "slots": {"a": {"revision": "v1", "up": 2, "endpoints": 3}}}
    assert router_of(status) == Router(7, {"v1": 2})


@pytest.mark.parametrize(
    "status",
    [None, {}, {"generation": 7}, {"generation": "x", "slots": {}}, {"generation": 1, "slots": []}],
)
def test_whoever_cannot_be_understood_has_confirmed_nothing(status: dict[str, Any] | None) -> None:
    """
    No answer, or one in another form, is no confirmation, and finds no pod healthy.
    """
    assert router_of(status) == SILENT
    seen = Snapshot(routing=Routing({"a": "v1"}, "v1"), generation=0, routers=(SILENT,))
    assert not seen.confirmed
    assert seen.up("v1") == 0
