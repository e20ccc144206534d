"""
The routes of a ModelDeployment behind a Gateway.

With the routers they lead to the Service that clients use. Without, they lead to the pools
themselves, and carry the weights: ten-thousandths, as everywhere.
"""

from dataclasses import dataclass
from typing import Any

from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.resource import GROUP
from modeldeploy_operator.resource.optional.gateway_spec import Gateway
from modeldeploy_operator.rollout.snapshot import Routing


@dataclass(frozen=True, slots=True)
class Reach:
    """
    By what clients can come in now.

    Attributes:
        routable: Whether the cluster knows the routes of the Gateway API.
        changing: Whether another provider takes over from one that clients still come in by.

    """

    routable: bool = False
    changing: bool = False


API = "gateway.networking.k8s.io/v1"
HTTP, GRPC = "HTTPRoute", "GRPCRoute"
GENERATION_ANNOTATION = f"{GROUP}/generation"
"""The number of the routing configuration that a route carries out."""

GRPC_MATCHES: list[dict[str, Any]] = [
    {"method": {"type": "Exact", "service": "tensorflow.serving.PredictionService"}},
    {
        "method": {
            "type": "Exact",
            "service": "tensorflow.serving.ModelService",
            "method": "GetModelStatus",
        }
    },
]
"""What clients may call. To reload a server's configuration is not among it."""


def build_routes(
    owner: Owner, wanted: Gateway, routing: Routing | None, generation: int
) -> list[dict[str, Any]]:
    """
    Build the HTTPRoute and the GRPCRoute.

    Args:
        owner: The ModelDeployment.
        wanted: The Gateways and the names.
        routing: Who gets which share; None where the routers decide that.
        generation: The number of the routing configuration.

    """
    path = {"type": "PathPrefix", "value": "/v1"}
    return [
        _route(owner, HTTP, wanted, (routing, generation), ([{"path": path}], names.REST_PORT)),
        _route(owner, GRPC, wanted, (routing, generation), (GRPC_MATCHES, names.GRPC_PORT)),
    ]


def _route(
    owner: Owner,
    kind: str,
    wanted: Gateway,
    by: tuple[Routing | None, int],
    what: tuple[list[dict[str, Any]], int],
) -> dict[str, Any]:
    routing, generation = by
    matches, port = what
    metadata = owner.metadata(owner.name, names.ROUTER)
    if routing:
        metadata["annotations"] = {GENERATION_ANNOTATION: str(generation)}
    parents = [p.model_dump(by_alias=True, exclude_none=True) for p in wanted.parent_refs]
    return {
        "apiVersion": API,
        "kind": kind,
        "metadata": metadata,
        "spec": {
            "parentRefs": parents,
            **({"hostnames": list(wanted.hostnames)} if wanted.hostnames else {}),
            "rules": [{"matches": matches, "backendRefs": _backends(owner, routing, port)}],
        },
    }


def _backends(owner: Owner, routing: Routing | None, port: int) -> list[dict[str, Any]]:
    """
    Name the Services that requests go to; one without a share is left out.
    """
    if routing is None:
        return [{"name": owner.name, "port": port}]
    shares = [(r, routing.share(r)) for r in (routing.stable, routing.canary) if r]
    return [{"name": owner.pool(r), "port": port, "weight": share} for r, share in shares if share]


def url_of(body: dict[str, Any]) -> str:
    """
    Say where clients send REST requests: to our Service, or, without routers, to the Gateway.

    The Gateway is called by the first name that it is to know; empty where it is to know none.
    """
    metadata, traffic = body["metadata"], body["spec"].get("traffic") or {}
    if traffic.get("provider") == "Gateway":
        return next((f"http://{name}" for name in traffic["gateway"].get("hostnames") or []), "")
    scheme = "https" if traffic.get("tls") else "http"
    return f"{scheme}://{metadata['name']}.{metadata['namespace']}.svc:{names.REST_PORT}"
