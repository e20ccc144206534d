"""Finds the signature that a request names."""

from google.protobuf import text_format

from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables import errors

DEFAULT_SIGNATURE = "serving_default"


def find_signature(model: Model, name: str) -> Signature:
    """
    Find a signature by name for classification or regression; no name means the default one.

    Raises:
        InvalidArgumentError: The model has no such signature.
    """
    key = name or DEFAULT_SIGNATURE
    signature = model.signatures.get(key)
    if signature is None:
        raise errors.InvalidArgumentError(f"No signature was found with the name: {key}")
    return signature


def show(signature: Signature) -> str:
    """Write a signature as protobuf's text, for a message."""
    text: str = text_format.MessageToString(signature.definition)
    return text
