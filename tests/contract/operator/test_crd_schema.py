"""
The CRD's schema is structural, as API servers demand, and says what each field means.

What only an API server can judge, the rules and the admission of objects, is shown on a real one
in tests/cluster.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from modeldeploy_operator.resource import crd

SCHEMA: dict[str, Any] = crd.build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
KNOWN = {
    "additionalProperties", "anyOf", "default", "description", "enum", "format", "items",
    "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties",
    "minimum", "pattern", "properties", "required", "type", "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}  # fmt: skip
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def _nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Walk through the fields, each with its path.
    """
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _nodes(schema["additionalProperties"], f"{path}.*")


NODES = dict(_nodes(SCHEMA))


@pytest.mark.parametrize("path", list(NODES))
def test_every_node_is_structural(path: str) -> None:
    """
    Each node has a type, or is an integer or a string in Kubernetes' own form, and no reference.
    """
    node = NODES[path]
    assert set(node) <= KNOWN
    if node.get("x-kubernetes-int-or-string"):
        assert node["anyOf"] == INT_OR_STRING
        assert "type" not in node
    else:
        assert node["type"] in {"object", "array", "string", "integer", "boolean", "number"}
        assert "anyOf" not in node
    if "properties" in node:
        assert "additionalProperties" not in node
        assert set(node.get("required", [])) <= set(node["properties"])
    assert ("items" in node) == (node.get("type") == "array")


@pytest.mark.parametrize("path", [p for p in NODES if p.startswith((".spec", ".status"))])
def test_every_field_is_described(path: str) -> None:
    """
    `kubectl explain` has a sentence for each field; list items are described by their list.
    """
    if not path.endswith(("[]", ".*")):
        assert re.search(r"\w.*\.$", NODES[path]["description"], re.DOTALL)


def test_lists_say_how_they_are_merged() -> None:
    """
    Every list is atomic or has keys, so that several writers know what they do.
    """
    lists = {path: node for path, node in NODES.items() if node.get("type") == "array"}
    assert {p: n["x-kubernetes-list-type"] for p, n in lists.items()} == {
        ".spec.server.args": "atomic",
        ".spec.autoscaling.metrics": "atomic",
        ".spec.traffic.gateway.hostnames": "atomic",
        ".spec.traffic.gateway.parentRefs": "atomic",
        ".spec.model.signatures.required": "set",
        ".spec.model.alsoServe": "atomic",
        ".spec.model.alsoServe[].labels": "set",
        ".spec.traffic.match": "map",
        ".spec.rollout.steps": "atomic",
        ".spec.rollout.analysis.checks": "map",
        ".status.canary.checks": "map",
        ".status.conditions": "map",
        ".status.history": "atomic",
        ".status.versions": "atomic",
    }
    assert NODES[".status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]


def test_everything_under_a_rule_is_bounded() -> None:
    """
    Rules have a budget, so what they walk through has a largest size.
    """
    for path, node in NODES.items():
        if "x-kubernetes-validations" not in node or node.get("type") == "object":
            continue
        assert "maxItems" in node or "maxLength" in node, path
    assert NODES[".spec.rollout.steps"]["maxItems"] == 20
    assert NODES[".spec.server.args"]["maxItems"] == 32
    assert NODES[".spec.resources.requests"]["maxProperties"] == 16


def test_rules_speak_in_sentences() -> None:
    """
    A refusal says what is wrong, not which rule it broke.
    """
    for path, node in NODES.items():
        for rule in node.get("x-kubernetes-validations", []):
            assert len(rule["message"].split()) > 4, path


def test_patterns_are_ones_that_go_reads() -> None:
    """
    The API server's regular expressions have no look-around and no back references.
    """
    for path, node in NODES.items():
        if "pattern" in node:
            re.compile(node["pattern"])
            assert not re.search(r"\(\?[=!<]|\\[1-9]", node["pattern"]), path


def test_the_status_is_a_subresource_and_scales() -> None:
    """
    `kubectl scale` and autoscalers find replicas and selector where the subresource says.
    """
    version = crd.build_crd()["spec"]["versions"][0]
    scale = version["subresources"]["scale"]
    assert version["subresources"]["status"] == {}
    for path in scale.values():
        assert path in NODES


def test_columns_show_what_exists() -> None:
    """
    Each column of `kubectl get` reads a field of the schema.
    """
    columns = crd.build_crd()["spec"]["versions"][0]["additionalPrinterColumns"]
    for column in columns:
        path = re.sub(r"\[\?\(.*\)\]", "[]", column["jsonPath"])
        assert path in NODES or path.startswith(".metadata."), column["name"]
