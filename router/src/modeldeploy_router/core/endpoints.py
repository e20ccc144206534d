"""
Which addresses belong to a pool, computed from the EndpointSlices of its Service.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Addresses:
    """
    The addresses of one pool.

    `ready` are those that the cluster calls ready.
    `used` are those that get traffic: the ready ones, or, where none is ready, those that are being
    terminated and still serve, as kube-proxy does it.
    """

    ready: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()


def addresses_of(service: str, slices: Iterable[Mapping[str, Any]]) -> Addresses:
    """
    Compute the addresses of a Service from EndpointSlices, its own and others'.

    A pod in a cluster with two address families is in slices of both; one family is enough, IPv4 if
    there is one.
    """
    own = [item for item in slices if _service(item) == service]
    families = {item.get("addressType") for item in own if item.get("endpoints")}
    family = "IPv4" if "IPv4" in families else "IPv6"
    endpoints = [
        endpoint
        for item in own
        if item.get("addressType") == family
        for endpoint in item.get("endpoints") or ()
    ]
    ready = frozenset(e["addresses"][0] for e in endpoints if _is_ready(e))
    serving = frozenset(e["addresses"][0] for e in endpoints if _is_serving(e))
    return Addresses(ready=ready, used=ready or serving)


def _service(item: Mapping[str, Any]) -> str | None:
    labels: Mapping[str, str] = item["metadata"].get("labels") or {}
    return labels.get(SERVICE_LABEL)


def _is_ready(endpoint: Mapping[str, Any]) -> bool:
    conditions = endpoint.get("conditions") or {}
    return conditions.get("ready") is not False and not conditions.get("terminating")


def _is_serving(endpoint: Mapping[str, Any]) -> bool:
    conditions = endpoint.get("conditions") or {}
    return bool(conditions.get("serving"))
