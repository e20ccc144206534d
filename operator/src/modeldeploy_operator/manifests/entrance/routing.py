"""
The routing ConfigMap: the wire between the operator and the routers.
"""

import json
from collections.abc import Mapping
from typing import Any

from modeldeploy_operator.manifests import names
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.rollout.snapshot import Match, Routing, Rules

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
        **_further(routing, by_revision),
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": owner.metadata(owner.routing, names.ROUTER),
        "data": {KEY: json.dumps(content, indent=1)},
    }


def _further(routing: Routing, slot_of: Mapping[str, str]) -> dict[str, Any]:
    """
    Build the keys that are there only where they say something.
    """
    pins = {
        "versions": {version: slot_of[name] for version, name in routing.versions.items()},
        "labels": {label: slot_of[name] for label, name in routing.labels.items()},
    }
    rules = routing.rules
    further = {
        "pins": {kind: found for kind, found in pins.items() if found},
        "shares": {slot_of[name]: share for name, share in routing.shares.items()},
        "match": [
            {"name": rule.name, "headers": dict(rule.headers), "to": rule.to}
            for rule in rules.match
        ],
        "sticky": dict([rules.sticky]) if rules.sticky else {},
    }
    return {key: value for key, value in further.items() if value}


def _rules(content: dict[str, Any]) -> Rules:
    match = tuple(Match(r["name"], r["headers"], r["to"]) for r in content.get("match", []))
    return Rules(match, next(iter(content.get("sticky", {}).items()), None))


def parse_routing(config_map: dict[str, Any]) -> tuple[int, Routing] | None:
    """
    Read the published configuration back; None if it is not one of ours.
    """
    try:
        content = json.loads(config_map["data"][KEY])
        slots = {slot: pool["revision"] for slot, pool in content["slots"].items()}
        roles = content["roles"]
        canary = slots[roles["canary"]] if "canary" in roles else None
        pins = content.get("pins", {})
        routing = Routing(
            slots,
            slots[roles["stable"]],
            canary,
            int(content["weight"]),
            versions={v: slots[slot] for v, slot in pins.get("versions", {}).items()},
            labels={label: slots[slot] for label, slot in pins.get("labels", {}).items()},
            shares={slots[slot]: int(n) for slot, n in content.get("shares", {}).items()},
            rules=_rules(content),
        )
        return int(content["generation"]), routing
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
