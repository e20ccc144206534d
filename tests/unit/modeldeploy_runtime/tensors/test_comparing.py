"""
Two answers to one request are compared: within a tolerance, or in words what differs.
"""

import ml_dtypes
import numpy as np
import pytest

from modeldeploy_runtime.tensors.comparing import SAME, Comparison, compare
from modeldeploy_runtime.tensors.dtypes import Array


def _of(expected: Array, found: Array, tolerance: float = 1e-3) -> Comparison:
    return compare({"y": expected}, {"y": found}, tolerance)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0])),
        (np.array([1.0, 2000.0]), np.array([1.0019, 2001.9])),
        (np.array(0.5, np.float32), np.array(0.5004, np.float32)),
        (np.array([np.nan, np.inf, -np.inf]), np.array([np.nan, np.inf, -np.inf])),
        (np.array([1], ml_dtypes.bfloat16), np.array([1], np.float32)),
        (np.array([1 + 2j]), np.array([1 + 2.001j])),
        (np.array([7], np.int32), np.array([7], np.int64)),
        (np.array([b"cat"], object), np.array(["cat"], object)),
        (np.zeros((0, 3)), np.zeros((0, 3))),
    ],
)
def test_answers_that_match(expected: Array, found: Array) -> None:
    """
    Numbers may differ by the tolerance, also in proportion; what is not finite must be the same.
    """
    assert _of(expected, found).matches


@pytest.mark.parametrize(
    ("expected", "found", "why"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.1]), "the output y is 2.1 at [1] instead of 2"),
        (np.array(1.0), np.array(2.0), "the output y is 2 at [] instead of 1"),
        (np.array([1.0]), np.array([np.nan]), "the output y is nan at [0] instead of 1"),
        (np.array([np.inf]), np.array([-np.inf]), "the output y is -inf at [0] instead of inf"),
        (np.array([5]), np.array([6]), "the output y is 6 at 0 instead of 5"),
        (np.array([b"cat"]), np.array([b"dog"]), "the output y is b'dog' at 0 instead of b'cat'"),
        (np.zeros((1, 2)), np.zeros((2, 1)), "the output y has the shape [2,1] instead of [1,2]"),
    ],
)
def test_answers_that_differ(expected: Array, found: Array, why: str) -> None:
    """
    The first difference is told in words.
    """
    assert _of(expected, found).why == why


def test_outputs_may_be_added_and_not_taken_away() -> None:
    """
    What an existing client reads must be there; what is new nobody reads yet.
    """
    one, two = {"y": np.zeros(1)}, {"y": np.zeros(1), "z": np.zeros(1)}
    assert compare(one, two, 0.0).matches
    assert compare(two, one, 0.0).why == "the output z is missing"


def test_differences_add_up() -> None:
    """
    The largest and the sum of the differences are told, of all outputs and of many answers.
    """
    first = _of(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    assert (first.largest, first.total, first.values) == (0.5, 0.5, 2)
    both = first + _of(np.array([1.0]), np.array([1.25]))
    assert (both.largest, both.total, both.values) == (0.5, 0.75, 3)
    assert both.why == first.why
    assert SAME + SAME == SAME


def test_another_class_is_a_flip() -> None:
    """
    A row of scores whose largest one stands elsewhere names another class.
    """
    found = _of(np.array([[0.6, 0.4], [0.1, 0.9]]), np.array([[0.4, 0.6], [0.1, 0.9]]))
    assert (found.flips, found.rows) == (1, 2)
