"""
Reads the interface of a model: from its SignatureDefs, or from what its metadata route says of it.

Both give equal values for one model, so that a version that is only files can be compared with one
that is served elsewhere.  Neither needs TensorFlow.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

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
    return of_messages(
        {
            name: messages.SignatureDef.FromString(serialized)
            for name, serialized in signature_defs.items()
        }
    )


def of_metadata(answer: Any) -> dict[str, Interface]:
    """
    Describe each signature that clients can call, from the metadata route's JSON.

    Fields that are not known, as other servers may add them, are passed over.

    Raises:
        ValueError: It is no answer of ``GET /v1/models/NAME/metadata``.
    """
    described = messages.SignatureDefMap()
    try:
        json_format.ParseDict(
            answer["metadata"]["signature_def"], described, ignore_unknown_fields=True
        )
    except (KeyError, TypeError, json_format.ParseError) as error:
        raise ValueError("This is no answer of the metadata route.") from error
    return of_messages(described.signature_def)


def of_messages(definitions: Mapping[str, Any]) -> dict[str, Interface]:
    """Describe each signature that clients can call, from SignatureDefs as messages."""
    return {
        name: _interface(definition)
        for name, definition in definitions.items()
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
