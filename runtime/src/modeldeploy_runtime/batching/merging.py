"""
Puts the tensors of several requests together, and takes the answers apart again: pure.

The first dimension of every tensor counts rows, one for each example.
"""

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec

Tensors = Mapping[str, Array]
Specs = Mapping[str, TensorSpec]
# The shape of a row of each input.
Rows = Mapping[str, tuple[int, ...]]

MAX_PADDED_RANK = 6
UNKNOWN = -1


def count_rows(inputs: Tensors) -> int:
    """
    Count the rows of a request.

    Raises:
        InvalidArgumentError: An input has no dimension, or the inputs differ in their rows.
    """
    if any(not array.ndim for array in inputs.values()):
        raise errors.InvalidArgumentError(
            "Batching Run() input tensors must have at least one dimension"
        )
    rows: set[int] = {array.shape[0] for array in inputs.values()}
    if len(rows) != 1:
        raise errors.InvalidArgumentError(
            "Batching Run() input tensors must have equal 0th-dimension size"
        )
    return rows.pop()


def check_types(inputs: Tensors, specs: Specs) -> None:
    """
    Refuse a request whose elements have another type than the signature's.

    Raises:
        InvalidArgumentError: An input has another type.
    """
    for index, (alias, spec) in enumerate(specs.items()):
        given = dtypes.of_array(inputs[alias])
        if given is not spec.dtype:
            name = given.name if given else str(inputs[alias].dtype)
            raise errors.InvalidArgumentError(
                f"Expects arg[{index}] to be {spec.dtype.name} but {name} is provided"
            )


def kind(inputs: Tensors, specs: Specs, *, padding: bool) -> Hashable:
    """
    Tell what requests must have in common to share a batch: the shape of a row of each input.

    With padding, the dimensions that the signature leaves open may differ.  Those that it fixes are
    never padded: a request that has another size there is wrong, and fails alone.

    Raises:
        InvalidArgumentError: An input has too many dimensions to be padded.
    """
    if not padding:
        return tuple(inputs[alias].shape[1:] for alias in specs)
    if any(array.ndim > MAX_PADDED_RANK for array in inputs.values()):
        raise errors.InvalidArgumentError("Only tensors with rank from 1 to 6 can be padded.")
    return tuple(_fixed_part(inputs[alias].shape, spec) for alias, spec in specs.items())


def _fixed_part(shape: tuple[int, ...], spec: TensorSpec) -> tuple[int, ...]:
    """Keep the sizes of a row that the signature fixes, and the number of all."""
    if spec.shape is None:
        return (UNKNOWN,) * (len(shape) - 1)
    if len(spec.shape) != len(shape):
        return shape[1:]
    pairs = zip(shape[1:], spec.shape[1:], strict=True)
    return tuple(UNKNOWN if declared == UNKNOWN else size for size, declared in pairs)


def widest_rows(requests: Sequence[Tensors]) -> Rows:
    """Find the shape of a row, for each input, into which the rows of all requests fit."""
    return {
        alias: tuple(
            max(sizes)
            for sizes in zip(*(request[alias].shape[1:] for request in requests), strict=True)
        )
        for alias in requests[0]
    }


def check_padding(request: Tensors, widest: Rows) -> None:
    """
    Refuse a request that would have to be padded and has no element to do it with.

    Raises:
        InvalidArgumentError: One of its tensors is empty, and will not be in the batch.
    """
    if any(not array.size and math.prod(widest[alias]) for alias, array in request.items()):
        raise errors.InvalidArgumentError("Got empty tensor in batch of non-empty tensors.")


def merge(
    requests: Sequence[Tensors], filler: int = 0, widest: Rows | None = None
) -> dict[str, Array]:
    """
    Concatenate the requests' inputs, pad their rows to the widest, and append ``filler`` rows.

    A row is padded at its ends with the first element of its tensor, and the filler is the first
    row of the last request, repeated: all of it are values that a client sent, so that the model
    can take them.
    """
    merged = {}
    for alias in requests[0]:
        arrays = [request[alias] for request in requests]
        if widest is not None:
            arrays = [_pad(array, widest[alias]) for array in arrays]
        if filler:
            arrays.append(np.repeat(arrays[-1][:1], filler, axis=0))
        merged[alias] = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return merged


def _pad(array: Array, row: tuple[int, ...]) -> Array:
    if array.shape[1:] == row:
        return array
    padded = np.empty((array.shape[0], *row), dtype=array.dtype)
    if array.size:
        padded.fill(array.flat[0])
        padded[tuple(slice(size) for size in array.shape)] = array
    return padded


def split(outputs: Tensors, sizes: Sequence[int], filler: int = 0) -> list[dict[str, Array]]:
    """
    Give each request its rows of the outputs, and nobody the filler.

    Raises:
        PreconditionError: An output has another number of rows than there were in the batch.
    """
    for array in outputs.values():
        if not array.ndim:
            raise errors.PreconditionError("Batched output tensor has 0 dimensions")
        if array.shape[0] != sum(sizes) + filler:
            raise errors.PreconditionError(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                "dimension sizes of the input tensors"
            )
    parts, start = [], 0
    for size in sizes:
        rows = slice(start, start + size)
        parts.append({alias: array[rows] for alias, array in outputs.items()})
        start += size
    return parts


def trim(outputs: Tensors, request: Tensors, widest: Rows, specs: Specs) -> dict[str, Array]:
    """
    Cut from a request's outputs what was computed from its padding.

    An output's dimension is cut when the signature leaves it open, it is as large as a padded
    dimension of an input, and that says clearly how large it was: an input of 5 padded to 8 makes 8
    mean 5, unless another input of the request has 8 there by itself.  A dimension that is 8 for
    another reason would be cut wrongly, which is why those of fixed size never are.
    """
    meant: dict[int, set[int]] = {}
    for alias, array in request.items():
        for size, padded in zip(array.shape[1:], widest[alias], strict=True):
            meant.setdefault(padded, set()).add(size)
    cuts = {
        padded: size
        for padded, sizes in meant.items()
        if len(sizes) == 1
        for size in sizes
        if size != padded
    }
    if not cuts:
        return dict(outputs)
    return {alias: _cut(array, specs[alias].shape, cuts) for alias, array in outputs.items()}


def _cut(array: Array, declared: tuple[int, ...] | None, cuts: Mapping[int, int]) -> Array:
    if declared is None or len(declared) != array.ndim:
        return array
    sizes = tuple(
        cuts.get(size, size) if axis and declared[axis] == UNKNOWN else size
        for axis, size in enumerate(array.shape)
    )
    if sizes == array.shape:
        return array
    return np.ascontiguousarray(array[tuple(slice(size) for size in sizes)])
