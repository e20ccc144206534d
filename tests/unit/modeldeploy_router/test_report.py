"""
The status is what ARCHITECTURE.md says, and the metrics say the same.
"""

import json
from dataclasses import replace

from modeldeploy_router.core.counters import Count
from modeldeploy_router.core.report import Report, metrics_text, responses_in, status_document
from modeldeploy_router.core.routing import parse_routing
from modeldeploy_router.core.seen import Server
from testkit.routers import EXAMPLE

UP = Server(out=False, up=True, checked=True)
DOWN = Server(out=False, up=False, checked=True)
REPORT = Report(
    routing=parse_routing(json.dumps(EXAMPLE)),
    ready={"a": frozenset({"10.0.0.1", "10.0.0.2"}), "b": frozenset({"10.0.0.3"})},
    servers={
        "rest_a": {"ip-10.0.0.1": UP, "ip-10.0.0.2": UP},
        "grpc_a": {"ip-10.0.0.1": UP, "ip-10.0.0.2": UP},
        "rest_b": {"ip-10.0.0.3": UP},
        "grpc_b": {"ip-10.0.0.3": DOWN},
    },
    totals={
        ("0a1b2c3d4e", "rest"): Count(900, 0),
        ("0a1b2c3d4e", "grpc"): Count(1, 0),
        ("5f6a7b8c9d", "rest"): Count(99, 3),
    },
    started="2026-01-01T00:00:00Z",
    applied=1.5,
    responses={("rest", "2xx"): 900},
)


def test_status() -> None:
    """
    An endpoint is up when it is up for both protocols.
    """
    assert status_document(REPORT) == {
        "generation": 7,
        "model": "mnist",
        "weight": 1000,
        "roles": {"stable": "a", "canary": "b"},
        "slots": {
            "a": {
                "revision": "0a1b2c3d4e",
                "up": 2,
                "endpoints": 2,
                "requests": 901,
                "failures": 0,
            },
            "b": {
                "revision": "5f6a7b8c9d",
                "up": 0,
                "endpoints": 1,
                "requests": 99,
                "failures": 3,
            },
        },
        "haproxy": {"started": "2026-01-01T00:00:00Z"},
    }


def test_before_there_is_a_routing() -> None:
    """
    A router that has applied nothing says so with generation 0.
    """
    report = replace(REPORT, routing=None, totals={})
    assert status_document(report)["generation"] == 0
    assert "modeldeploy_router_generation 0\n" in metrics_text(report)


def test_a_role_that_nobody_has_is_left_out() -> None:
    """
    Without a canary there is no such role.
    """
    document = EXAMPLE | {"roles": {"stable": "b"}}
    report = replace(REPORT, routing=parse_routing(json.dumps(document)))
    assert status_document(report)["roles"] == {"stable": "b"}


def test_metrics() -> None:
    """
    Counters carry the revision alone; roles and slots stand in a series of their own, to join with.
    """
    lines = metrics_text(REPORT).splitlines()
    for line in (
        'modeldeploy_router_attempts_total{revision="5f6a7b8c9d",protocol="rest"} 99',
        'modeldeploy_router_failures_total{revision="5f6a7b8c9d",protocol="rest"} 3',
        'modeldeploy_router_responses_total{protocol="rest",code="2xx"} 900',
        'modeldeploy_router_slot_info{slot="b",revision="5f6a7b8c9d",version="2",role="canary"} 1',
        'modeldeploy_router_endpoints_up{slot="b",revision="5f6a7b8c9d"} 0',
        'modeldeploy_router_endpoints_ready{slot="b",revision="5f6a7b8c9d"} 1',
        "modeldeploy_router_weight 1000",
        "modeldeploy_router_applied_timestamp_seconds 1.5",
        "# TYPE modeldeploy_router_attempts_total counter",
    ):
        assert line in lines


def test_responses() -> None:
    """
    Only what clients got counts, not the way from one backend to the other.
    """
    row = {"svname": "FRONTEND", "hrsp_2xx": "5", "hrsp_3xx": "", "hrsp_4xx": "1", "hrsp_5xx": "0"}
    rows = [
        row | {"pxname": "rest"},
        row | {"pxname": "rest_fallback"},
        {"pxname": "rest_a", "svname": "BACKEND"},
    ]
    assert responses_in(rows) == {
        ("rest", "2xx"): 5,
        ("rest", "3xx"): 0,
        ("rest", "4xx"): 1,
        ("rest", "5xx"): 0,
    }
