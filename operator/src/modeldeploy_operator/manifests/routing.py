"""
The routing ConfigMap: the wire between the operator and the routers.
"""

import json
from collections.abc import Mapping
from typing import Any

from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.rollout.snapshot import Routing

KEY = "routing.json"


def build_routing(
    owner: Owner, model: str, routing: Routing, generation: int, versions: Mapping[str, str]
) -> dict[str, Any]:
    """
    Build the ConfigMap that the routers watch.
    """
    by_revision = {revision: slot for slot, revision in routing.slots.items()}
    roles = {"stable": by_revision[routing.stable]}
    if routing.canary:
        roles["canary"] = by_revision[routing.canary]
    content = {
        "generation": generation,
        "model": model,
        "slots": {
            slot: {
                "revision": revision,
                "service": owner.pool(revision),
                "version": versions.get(revision, ""),
            }
            for slot, revision in sorted(routing.slots.items())
        },
        "roles": roles,
        "weight": routing.weight,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(owner.routing, names.ROUTER),
        "data": {KEY: json.dumps(content, indent=1)},
    }


def parse_routing(config_map: dict[str, Any]) -> tuple[int, Routing] | None:
    """
    Read the published configuration back; None if it is not one of ours.
    """
    try:
        content = json.loads(config_map["data"][KEY])
        slots = {slot: pool["revision"] for slot, pool in content["slots"].items()}
        roles = content["roles"]
        canary = slots[roles["canary"]] if "canary" in roles else None
        routing = Routing(slots, slots[roles["stable"]], canary, int(content["weight"]))
        return int(content["generation"]), routing
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
