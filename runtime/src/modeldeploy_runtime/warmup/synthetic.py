"""
Makes up inputs from signatures: zeros, in the shapes that a model declares: pure.

An unknown first dimension is the batch, and any other unknown one is 1.  Strings are empty, which
for classification and regression is an example without features.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from modeldeploy_runtime.loaders.port import Signature
from modeldeploy_runtime.tensors import dtypes
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec


def inputs(signature: Signature, sizes: Sequence[int]) -> Iterator[dict[str, Array]]:
    """Yield inputs for each batch size; one set alone where none of them has a free batch."""
    specs = {
        alias: spec for alias, spec in signature.inputs.items() if alias not in signature.defaults
    }
    is_batched = any(_is_batched(spec) for spec in specs.values())
    for size in sizes if is_batched else (1,):
        made: Mapping[str, Array] = {alias: _make(spec, size) for alias, spec in specs.items()}
        yield dict(made)


def _is_batched(spec: TensorSpec) -> bool:
    return spec.shape is None or (len(spec.shape) > 0 and spec.shape[0] < 0)


def _make(spec: TensorSpec, size: int) -> Array:
    dims = (-1,) if spec.shape is None else spec.shape
    shape = [
        known if known >= 0 else (size if place == 0 else 1) for place, known in enumerate(dims)
    ]
    if spec.dtype is dtypes.STRING:
        return np.full(shape, b"", dtype=object)
    return np.zeros(shape, dtype=spec.dtype.numpy)
