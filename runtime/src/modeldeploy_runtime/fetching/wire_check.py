"""
Tells whether a file can be a SavedModel at all, without TensorFlow: pure.

A SavedModel is a protobuf message with two fields.  Walking over its outermost fields finds files
that are cut off or are something else, at the price of reading a few bytes of each field's head.
"""

from typing import BinaryIO

from modeldeploy_runtime.protos import wire

META_GRAPHS = 2


def what_is_wrong(file: BinaryIO, size: int) -> str | None:
    """Say why a file cannot be a SavedModel, or ``None``."""
    has_graph = False
    try:
        for field in wire.fields(file, size):
            has_graph |= field.number == META_GRAPHS
            if field.stop > size:
                return "it ends in the middle"
    except ValueError:
        return "it is not a SavedModel"
    return None if has_graph else "it holds no graph"
