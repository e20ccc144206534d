"""
The addresses of a pool, from EndpointSlices.
"""

from typing import Any

import pytest

from modeldeploy_router.core.endpoints import Addresses, addresses_of


def a_slice(service: str, *endpoints: dict[str, Any], family: str = "IPv4") -> dict[str, Any]:
    """
    Build an EndpointSlice.
    """
    labels = {"kubernetes.io/service-name": service}
    return {"metadata": {"labels": labels}, "addressType": family, "endpoints": list(endpoints)}


def an_endpoint(address: str, **conditions: bool | None) -> dict[str, Any]:
    """
    Build an endpoint.
    """
    return {"addresses": [address], "conditions": conditions}


READY = an_endpoint("10.0.0.1", ready=True, serving=True, terminating=False)
LOADING = an_endpoint("10.0.0.2", ready=False, serving=False, terminating=False)
LEAVING = an_endpoint("10.0.0.3", ready=False, serving=True, terminating=True)
GONE = an_endpoint("10.0.0.4", ready=False, serving=False, terminating=True)


@pytest.mark.parametrize(
    ("endpoints", "ready", "used"),
    [
        ((READY, LOADING, LEAVING, GONE), {"10.0.0.1"}, {"10.0.0.1"}),
        ((LOADING, LEAVING, GONE), set(), {"10.0.0.3"}),
        ((LOADING, GONE), set(), set()),
        ((), set(), set()),
        (({"addresses": ["10.0.0.9"]},), {"10.0.0.9"}, {"10.0.0.9"}),
    ],
)
def test_ready_endpoints_first(
    endpoints: tuple[dict[str, Any], ...], ready: set[str], used: set[str]
) -> None:
    """
    Ready endpoints are used; where there is none, those that leave and still serve.
    """
    found = addresses_of("pool", [a_slice("pool", *endpoints)])
    assert found == Addresses(frozenset(ready), frozenset(used))


def test_slices_are_joined_and_others_are_left_out() -> None:
    """
    A Service may have several slices, and other Services have theirs.
    """
    other = an_endpoint("10.0.0.8", ready=True)
    slices = [
        a_slice("pool", READY),
        a_slice("pool", an_endpoint("10.0.0.7", ready=True)),
        a_slice("another", other),
        {"metadata": {}, "addressType": "IPv4", "endpoints": [other]},
    ]
    assert addresses_of("pool", slices).ready == {"10.0.0.1", "10.0.0.7"}


def test_one_family_is_enough() -> None:
    """
    A pod of two families counts once; a cluster of IPv6 alone works too.
    """
    six = a_slice("pool", an_endpoint("fd00::1", ready=True), family="IPv6")
    assert addresses_of("pool", [six, a_slice("pool", READY)]).ready == {"10.0.0.1"}
    assert addresses_of("pool", [six, a_slice("pool")]).ready == {"fd00::1"}
    assert addresses_of("pool", [{**six, "endpoints": None}]).ready == set()
