"""
The CustomResourceDefinition, made from the types: `python -m modeldeploy_operator.resource.crd`.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from modeldeploy_operator.resource import GROUP, KIND, PLURAL, VERSION
from modeldeploy_operator.resource.parts import Part
from modeldeploy_operator.resource.spec import ROOT_RULES, ModelDeploymentSpec
from modeldeploy_operator.resource.status import ModelDeploymentStatus

_DROPPED = {"title", "$defs", "additionalProperties", "const"}


def _resolve(node: Any, definitions: dict[str, Any]) -> Any:
    """
    Turn pydantic's JSON schema into a structural one: no references, no nulls, no titles.
    """
    if isinstance(node, list):
        return [_resolve(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        return _resolve({**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    options = [option for option in node.get("anyOf", []) if option != {"type": "null"}]
    if len(options) < len(node.get("anyOf", [])):
        rest = {k: v for k, v in node.items() if k not in ("anyOf", "default")}
        return _resolve({**options[0], **rest}, definitions)
    return _plain(node, definitions)


def _plain(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: _resolve(item, definitions) for name, item in value.items()}
        elif key == "additionalProperties" and isinstance(value, dict):
            result[key] = _resolve(value, definitions)
        elif key == "const":
            result["enum"] = [value]
        elif key not in _DROPPED:
            result[key] = _resolve(value, definitions)
    if result.get("x-kubernetes-preserve-unknown-fields"):
        result.pop("additionalProperties", None)
    return result


def schema_of(part: type[Part]) -> dict[str, Any]:
    """
    Build the structural schema of a part.
    """
    schema = part.model_json_schema(by_alias=True)
    resolved: dict[str, Any] = _resolve(schema, schema.get("$defs", {}))
    return resolved


def _column(name: str, path: str, kind: str, description: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, "description": description}


COLUMNS = [
    _column(
        "Ready", '.status.conditions[?(@.type=="Ready")].status', "string", "Whether it answers."
    ),
    _column("Stable", ".status.stable.version", "string", "The version that is stable."),
    _column("Canary", ".status.canary.version", "string", "The version that is being tried."),
    _column("Weight", ".status.canary.weight.effective", "string", "The canary's effective share."),
    _column("Step", ".status.canary.step", "integer", "The canary's present step."),
    _column("Replicas", ".status.replicas", "integer", "The serving pods."),
    _column("Age", ".metadata.creationTimestamp", "date", "When it was created."),
    {
        **_column(
            "Reason", '.status.conditions[?(@.type=="Promoted")].reason', "string", "Why it stands."
        ),
        "priority": 1,
    },
]


def build_crd() -> dict[str, Any]:
    """
    Build the whole definition.
    """
    status = {**schema_of(ModelDeploymentStatus), "default": {"observedGeneration": -1}}
    schema = {
        "type": "object",
        "description": "A model, served: one YAML object for the pods, the router and the rollout.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": schema_of(ModelDeploymentSpec),
            "status": status,
        },
        "x-kubernetes-validations": ROOT_RULES,
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": COLUMNS,
    }
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": KIND.lower(),
        "shortNames": ["mdep"],
        "categories": ["ml"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def text() -> str:
    """
    Print the definition as the file in crds/ holds it.
    """
    head = "# Generated from the operator's types by `make generate`; do not edit.\n"
    return head + yaml.safe_dump(build_crd(), sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(text(), encoding="utf-8")
