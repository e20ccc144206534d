"""
Writes what was found: pure.

The words are those of ``saved_model_cli show --all``; each input and output has one line, so that
``grep`` finds it.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from modeldeploy_runtime.inspection.places import Found
from modeldeploy_runtime.inspection.savedmodel import MetaGraph
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.tensors import proto

_DTYPES = messages.TensorProto.DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_number


def text(found: Found, graphs: list[MetaGraph]) -> str:
    """Describe a model for people."""
    lines = [f"{found.folder}", *(line for graph in graphs for line in _graph_lines(graph))]
    return "\n".join(lines) + "\n"


def document(found: Found, graphs: list[MetaGraph]) -> dict[str, Any]:
    """Describe a model for programs; a shape of ``null`` has an unknown rank."""
    return {
        "path": str(found.folder),
        "meta_graphs": [
            {
                "tags": list(graph.tags),
                "tensorflow_version": graph.tensorflow_version,
                "signature_def": {
                    name: _signature(definition) for name, definition in graph.signatures.items()
                },
            }
            for graph in graphs
        ],
    }


def _graph_lines(graph: MetaGraph) -> Iterator[str]:
    yield ""
    yield f"tag-set: {_printable(graph.tag_set)}"
    if graph.tensorflow_version:
        yield f"written by: TensorFlow {_printable(graph.tensorflow_version)}"
    for name, definition in graph.signatures.items():
        described = _signature(definition)
        yield ""
        yield f"signature_def[{name!r}]"
        yield f"  method name: {_printable(described['method_name']) or '(none)'}"
        yield from _tensor_lines(described)


def _tensor_lines(described: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for side in ("inputs", "outputs"):
        for alias, tensor in described[side].items():
            row = [f"{side}[{alias!r}]", f"dtype: {tensor['dtype']}", _shape(tensor["shape"])]
            named = "name" if "name" in tensor else "encoding"
            row.append(f"{named}: {_printable(tensor[named])}")
            default = described["defaults"].get(alias) if side == "inputs" else None
            rows.append([*row, "" if default is None else f"default: {json.dumps(default)}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(padded)}".rstrip()


def _printable(text: str) -> str:
    """Keep what a file says from moving the cursor of whoever reads it."""
    return text if text.isprintable() else ascii(text)


def _shape(sizes: list[int] | None) -> str:
    return "shape: " + ("unknown_rank" if sizes is None else f"({', '.join(map(str, sizes))})")


def _signature(definition: Any) -> dict[str, Any]:
    return {
        "method_name": definition.method_name,
        "inputs": _tensors(definition.inputs),
        "outputs": _tensors(definition.outputs),
        "defaults": {
            alias: _value(proto.decode(alias, definition.defaults[alias]).tolist())
            for alias in sorted(definition.defaults)
        },
    }


def _tensors(infos: Mapping[str, Any]) -> dict[str, Any]:
    return {alias: _tensor(infos[alias]) for alias in sorted(infos)}


def _tensor(info: Any) -> dict[str, Any]:
    """Describe an input or output; a sparse or composite one has an encoding and no name."""
    known = _DTYPES.get(info.dtype)
    shape = info.tensor_shape
    encoding = info.WhichOneof("encoding") or "name"
    return {
        "dtype": known.name if known else f"type {info.dtype}",
        "shape": None if shape.unknown_rank else [dim.size for dim in shape.dim],
        **({"name": info.name} if encoding == "name" else {"encoding": encoding}),
    }


def _value(value: Any) -> Any:
    """Write a default as REST writes values: bytes that are no text as ``{"b64": …}``."""
    if isinstance(value, list):
        return [_value(one) for one in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return str(value) if isinstance(value, complex) else value
