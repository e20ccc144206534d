"""
Tensors are put together and taken apart so that nobody sees anybody else's rows.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeldeploy_runtime.batching import merging
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors import dtypes
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec

FLOAT = dtypes.BY_NAME["float"]


def _spec(*shape: int, dtype: str = "float") -> TensorSpec:
    return TensorSpec("x:0", dtypes.BY_NAME[dtype], shape)


def _floats(*shape: int, value: float = 1.0) -> Array:
    return np.full(shape, value, np.float32)


def test_rows_are_counted() -> None:
    """
    All inputs of a request have the same first dimension.
    """
    assert merging.count_rows({"a": _floats(3, 2), "b": _floats(3)}) == 3


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"a": _floats(3), "b": _floats()},
            "Batching Run() input tensors must have at least one dimension",
        ),
        (
            {"a": _floats(3), "b": _floats(2)},
            "Batching Run() input tensors must have equal 0th-dimension size",
        ),
    ],
)
def test_requests_without_common_rows_are_refused(inputs: dict[str, Any], message: str) -> None:
    """
    The messages are TensorFlow Serving's.
    """
    with pytest.raises(errors.InvalidArgumentError) as caught:
        merging.count_rows(inputs)
    assert caught.value.message == message


def test_types_are_checked_before_anything_is_shared() -> None:
    """
    A wrong type is told in the words that the model itself would use.
    """
    with pytest.raises(errors.InvalidArgumentError) as caught:
        merging.check_types({"x": np.ones(1, np.int32)}, {"x": _spec(-1)})
    assert caught.value.message == "Expects arg[0] to be float but int32 is provided"


def test_without_padding_rows_of_one_shape_share_a_batch() -> None:
    """
    Requests of different lengths never meet, whatever the signature leaves open.
    """
    specs = {"x": _spec(-1, -1)}
    kinds = [merging.kind({"x": _floats(1, n)}, specs, padding=False) for n in (3, 3, 4)]
    assert kinds[0] == kinds[1] != kinds[2]


def test_with_padding_open_dimensions_may_differ_and_fixed_ones_may_not() -> None:
    """
    A request that has a wrong size where the signature fixes it keeps to itself.
    """
    specs = {"x": _spec(-1, -1, 8)}
    shapes = [(1, 3, 8), (2, 5, 8), (1, 3, 9), (1, 3)]
    kinds = [merging.kind({"x": _floats(*shape)}, specs, padding=True) for shape in shapes]
    assert kinds[0] == kinds[1]
    assert len(set(kinds)) == 3
    any_rank = {"x": TensorSpec("x:0", FLOAT, None)}
    free = [merging.kind({"x": _floats(*s)}, any_rank, padding=True) for s in ((1, 3), (1, 4))]
    assert free[0] == free[1]


def test_too_many_dimensions_cannot_be_padded() -> None:
    """
    The limit is TensorFlow Serving's.
    """
    with pytest.raises(errors.InvalidArgumentError) as caught:
        merging.kind({"x": _floats(1, 1, 1, 1, 1, 1, 1)}, {"x": _spec()}, padding=True)
    assert caught.value.message == "Only tensors with rank from 1 to 6 can be padded."


def test_rows_are_padded_with_their_own_first_element() -> None:
    """
    Padding goes to the end, and the filler is the last request's first row.
    """
    one = np.array([[1, 2, 3]], np.int32)
    two = np.array([[7, 8], [9, 10]], np.int32)
    widest = merging.widest_rows([{"x": one}, {"x": two}])
    merged = merging.merge([{"x": one}, {"x": two}], 2, widest)
    assert merged["x"].tolist() == [[1, 2, 3], [7, 8, 7], [9, 10, 7], [7, 8, 7], [7, 8, 7]]


def test_strings_are_padded_too() -> None:
    """
    Bytes of any length stay what they are.
    """
    one = np.array([[b"a", b"\0"]], dtype=object)
    two = np.array([[b"longer"]], dtype=object)
    requests = [{"x": one}, {"x": two}]
    merged = merging.merge(requests, 0, merging.widest_rows(requests))
    assert merged["x"].tolist() == [[b"a", b"\0"], [b"longer", b"longer"]]


def test_an_empty_tensor_cannot_be_padded() -> None:
    """
    There is no element to pad it with; among its like it is fine.
    """
    empty, full = {"x": _floats(1, 0)}, {"x": _floats(1, 2)}
    with pytest.raises(errors.InvalidArgumentError, match="Got empty tensor in batch of non-empty"):
        merging.check_padding(empty, merging.widest_rows([empty, full]))
    flat = {"x": _floats(1, 0, 3)}
    flatter = {"x": _floats(1, 0, 2)}
    widest = merging.widest_rows([flat, flatter])
    merging.check_padding(flatter, widest)
    assert merging.merge([flat, flatter], 0, widest)["x"].shape == (2, 0, 3)


def test_a_lone_request_is_not_copied() -> None:
    """
    A batch of one costs nothing.
    """
    x = _floats(2, 2)
    assert merging.merge([{"x": x}])["x"] is x


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (_floats(), "Batched output tensor has 0 dimensions"),
        (
            _floats(4),
            (
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                "sizes of the input tensors"
            ),
        ),
    ],
)
def test_outputs_without_a_row_for_each_row_are_refused(output: Array, message: str) -> None:
    """
    The messages are TensorFlow Serving's.
    """
    with pytest.raises(errors.PreconditionError) as caught:
        merging.split({"y": output}, [1, 2])
    assert caught.value.message == message


def test_outputs_lose_what_came_of_padding() -> None:
    """
    Where the signature leaves a dimension open and it is as large as the padded input, it is cut.
    """
    request, widest = {"x": _floats(1, 3)}, {"x": (5,)}
    outputs = {"open": _floats(1, 5, 7), "fixed": _floats(1, 5), "unknown": _floats(1, 5)}
    specs = {
        "open": _spec(-1, -1, 7),
        "fixed": _spec(-1, 5),
        "unknown": TensorSpec("u:0", FLOAT, None),
    }
    trimmed = merging.trim(outputs, request, widest, specs)
    assert {alias: array.shape for alias, array in trimmed.items()} == {
        "open": (1, 3, 7),
        "fixed": (1, 5),
        "unknown": (1, 5),
    }


def test_outputs_are_not_cut_where_it_is_unclear() -> None:
    """
    If another input has this size by itself, nobody knows of which one the output speaks.
    """
    request = {"x": _floats(1, 3), "mask": _floats(1, 5)}
    widest = {"x": (5,), "mask": (5,)}
    outputs = {"y": _floats(1, 5)}
    assert merging.trim(outputs, request, widest, {"y": _spec(-1, -1)})["y"].shape == (1, 5)


@settings(deadline=None, max_examples=200)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), min_size=1, max_size=6),
    filler=st.integers(0, 5),
)
def test_what_goes_in_comes_out(lengths: list[tuple[int, int]], filler: int) -> None:
    """
    A model that gives back what it gets gives each request exactly its own rows.
    """
    requests: list[dict[str, Array]] = [
        {"x": np.arange(rows * width, dtype=np.float32).reshape(rows, width) + 100 * number}
        for number, (rows, width) in enumerate(lengths)
    ]
    widest = merging.widest_rows(requests)
    merged = merging.merge(requests, filler, widest)
    assert len(merged["x"]) == sum(rows for rows, _ in lengths) + filler
    parts = merging.split({"y": merged["x"]}, [rows for rows, _ in lengths], filler)
    for request, part in zip(requests, parts, strict=True):
        trimmed = merging.trim(part, request, widest, {"y": _spec(-1, -1)})
        assert trimmed["y"].tolist() == request["x"].tolist()
