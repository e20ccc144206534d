"""
What a user may write about a Gateway (gateway.networking.k8s.io) in front of the model.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from modeldeploy_operator.resource.parts import Part, rule_of

Provider = Literal["Router", "Gateway"]

Hostname = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 253,
            "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        }
    ),
]


class ParentRef(Part):
    """
    A Gateway, or one of its listeners.
    """

    name: str = Field(description="The Gateway's name.", min_length=1, max_length=253)
    namespace: str | None = Field(
        None,
        description="Its namespace; that of the ModelDeployment if it is left out.",
        min_length=1,
        max_length=63,
    )
    section_name: str | None = Field(
        None, description="One listener of it; all if it is left out.", min_length=1, max_length=253
    )


class Gateway(Part):
    """
    The Gateways that lead to the model: an HTTPRoute for REST and a GRPCRoute for gRPC.
    """

    parent_refs: list[ParentRef] = Field(
        description="The Gateways that the routes attach to.",
        min_length=1,
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    hostnames: list[Hostname] = Field(
        default_factory=list,
        description="The names by which clients call the model; every name if there is none.",
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


GATEWAY_RULES: Any = [
    rule_of(
        "self.provider != 'Gateway' || has(self.gateway)",
        "traffic.provider Gateway needs traffic.gateway, which names the Gateways",
    ),
    rule_of(
        "self.provider != 'Gateway' || !(has(self.sticky) || has(self.auth) || has(self.match) && "
        "size(self.match) > 0)",
        "traffic.sticky, traffic.match and traffic.auth are the routers' work: take "
        "traffic.provider Router, with or without traffic.gateway",
    ),
    rule_of(
        "!has(self.tls) || !has(self.gateway)",
        "traffic.tls ends at the routers, to which a Gateway speaks plainly: give the Gateway's "
        "listener the certificate instead",
    ),
]
_SPLITS = "(has(self.traffic) && has(self.traffic.provider) && self.traffic.provider == 'Gateway')"
WITHOUT_ROUTERS: list[dict[str, Any]] = [
    rule_of(
        f"!{_SPLITS} || !has(self.rollout) || !has(self.rollout.steps) || "
        "self.rollout.steps.all(step, string(step.weight).matches('^[0-9]+%?$'))",
        "a Gateway splits by whole percents: give each step a weight such as 1 or 10, or take "
        "traffic.provider Router",
    ),
    rule_of(
        f"!{_SPLITS} || !(has(self.model.keepVersions) && self.model.keepVersions > 0 || "
        "has(self.model.alsoServe) && size(self.model.alsoServe) > 0)",
        "model.keepVersions and model.alsoServe are reached by the routers' pins: take "
        "traffic.provider Router, with or without traffic.gateway",
    ),
]
"""What no Gateway does, said for the whole spec."""
