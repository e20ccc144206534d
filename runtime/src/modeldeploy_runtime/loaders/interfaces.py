"""Reads the interface of a model from its serialised SignatureDefs; needs no TensorFlow."""

from collections.abc import Mapping
from typing import Any

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables import interface
from modeldeploy_runtime.servables.interface import Interface, Tensor
from modeldeploy_runtime.tensors import dtypes

# Signatures that loaders use among themselves begin so; clients cannot call them.
INTERNAL = "__saved_model_"


def differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """Name everything, in a sentence each, that a client of the old model would notice."""
    return interface.differences(read(before), read(after))


def read(signature_defs: Mapping[str, bytes]) -> dict[str, Interface]:
    """Describe each signature that clients can call."""
    return {
        name: _interface(messages.SignatureDef.FromString(serialized))
        for name, serialized in signature_defs.items()
        if not name.startswith(INTERNAL)
    }


def _interface(definition: Any) -> Interface:
    return Interface(
        definition.method_name,
        {alias: _tensor(info) for alias, info in definition.inputs.items()},
        {alias: _tensor(info) for alias, info in definition.outputs.items()},
        frozenset(definition.defaults),
    )


def _tensor(info: Any) -> Tensor:
    dtype = dtypes.BY_NUMBER.get(info.dtype)
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return Tensor(dtype.name if dtype else f"type {info.dtype}", sizes)
