"""
The generated parts of docs/reference: the fields of the CRD, and the diagram of the states.
"""

from collections.abc import Iterator
from typing import Any

from modeldeploy_operator.resource import crd
from modeldeploy_operator.rollout import states
from modeldeploy_runtime.telemetry import catalogue

HEAD = (
    "# The fields of a ModelDeployment",
    "",
    "This page is generated from the CRD by `pytest tests/house --update-golden`; do not edit it.",
    "",
    "The kind is `ModelDeployment` of `serving.modeldeploy.io/v1alpha1`; its short name is `mdep`.",
    "`metadata.name` starts with a letter, holds lower case letters, digits and dashes.",
    "It has at most 40 characters.",
    "`kubectl` refuses a field that is not listed here, unless it is told not to validate.",
    "",
)
CONDITIONS = "The conditions and their reasons are explained in [status.md](status.md)."


def _kind(node: dict[str, Any]) -> str:
    """
    Name a node's type, and the bounds that a reader can use.
    """
    if node.get("x-kubernetes-int-or-string"):
        return "integer or string"
    kind = "time" if node.get("format") == "date-time" else str(node["type"])
    if kind == "array":
        most = f", at most {node['maxItems']}" if "maxItems" in node else ""
        kind = f"list of {_kind(node['items'])}{most}"
    elif "additionalProperties" in node:
        kind = f"map of {_kind(node['additionalProperties'])}"
    elif "enum" in node:
        kind = "one of " + ", ".join(f"`{value}`" for value in node["enum"])
    elif "maximum" in node:
        kind += f", {node['minimum']} to {node['maximum']}"
    return kind


def _default(node: dict[str, Any], *, required: bool) -> str:
    if required:
        return "must be given"
    if "default" not in node or node["default"] in ("", None):
        return ""
    value = node["default"]
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(node: dict[str, Any]) -> str:
    text = " ".join(str(node.get("description", "")).split())
    rules = [*node.get("x-kubernetes-validations", [])]
    rules += node.get("items", {}).get("x-kubernetes-validations", [])
    said = [f"Refused otherwise: {rule['message']}." for rule in rules]
    return " ".join([text, *said]).replace("|", "\\|")


def _rows(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, node in schema.get("properties", {}).items():
        where = f"{path}{name}"
        required = name in schema.get("required", [])
        cells = (f"`{where}`", _kind(node), _default(node, required=required), _meaning(node))
        yield f"| {' | '.join(cells)} |"
        yield from _rows(node, f"{where}.")
        if "items" in node:
            yield from _rows(node["items"], f"{where}[].")


def fields_page() -> str:
    """
    Write docs/reference/spec.md.
    """
    schema = crd.build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = [*HEAD]
    for part, title in (("spec", "What you write"), ("status", "What the operator reports")):
        parts += [f"## `{part}`: {title}", ""]
        if part == "status":
            parts += [
                "The conditions and their reasons are explained in [status.md](status.md).",
                "",
            ]
        parts += ["| field | type | default | meaning |", "|---|---|---|---|"]
        parts += [*_rows(schema["properties"][part]), ""]
    return "\n".join(parts)


def diagram() -> str:
    """
    Draw the states as the fenced block that docs/reference/rollout.md holds.
    """
    return f"```mermaid\n{states.diagram()}\n```"


def runtime_metrics() -> str:
    """
    Write the table of the runtime's metrics, TensorFlow Serving's after its own.
    """
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in sorted(catalogue.ALL, key=lambda metric: (metric.name[0] == ":", metric.name)):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |")
    return "\n".join(lines)
