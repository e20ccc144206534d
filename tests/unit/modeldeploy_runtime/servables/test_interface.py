"""
A new version fits when no client of the old one would notice; what does not fit is a sentence.
"""

from dataclasses import replace

import pytest

from modeldeploy_runtime.servables.interface import Interface, Tensor, differences

X, Y = Tensor("float", (-1, 3)), Tensor("float", (-1,))
OLD = Interface("predict", {"x": X, "k": Tensor("int32", ())}, {"y": Y}, frozenset({"k"}))
TWO = replace(OLD, outputs={"y": Y, "z": Y})


def _with_x(tensor: Tensor) -> Interface:
    return replace(OLD, inputs={**OLD.inputs, "x": tensor})


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        _with_x(Tensor("float", (-1, -1))),
        _with_x(Tensor("float", None)),
        replace(OLD, defaults=frozenset({"k", "x"})),
        replace(OLD, outputs={"y": Tensor("float", (1,))}),
    ],
)
def test_what_fits(new: Interface) -> None:
    """
    Inputs may take more, outputs may be narrower, and further signatures do no harm.
    """
    assert differences({"s": OLD}, {"s": new, "another": TWO}) == []


def test_further_outputs_fit_where_there_are_several() -> None:
    """
    Answers with names have room for one more.
    """
    three = replace(TWO, outputs={**TWO.outputs, "more": Y})
    assert differences({"s": TWO}, {"s": three}) == []


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (replace(OLD, method="classify"), 'the method is "classify" and was "predict"'),
        (_with_x(Tensor("half", (-1, 3))), 'the input "x" has the type half, and had float'),
        (
            _with_x(Tensor("float", (8, 3))),
            'the input "x" takes the shape [8, 3], and took [?, 3]',
        ),
        (
            _with_x(Tensor("float", (-1,))),
            'the input "x" takes the shape [?], and took [?, 3]',
        ),
        (replace(OLD, inputs={"x": X}, defaults=frozenset()), 'the input "k" is gone'),
        (replace(OLD, defaults=frozenset()), 'the input "k" can no longer be left out'),
        (
            replace(OLD, inputs={**OLD.inputs, "n": Y}),
            'there is a new input "n", which must be sent always',
        ),
        (
            replace(OLD, inputs={**OLD.inputs, "n": Y}, defaults=frozenset({"k", "n"})),
            'there is a new input "n", which must be sent over REST',
        ),
        (
            replace(OLD, outputs={"y": Tensor("double", (-1,))}),
            'the output "y" has the type double, and had float',
        ),
        (
            replace(OLD, outputs={"y": Tensor("float", None)}),
            'the output "y" has the shape of any rank, and had [?]',
        ),
        (
            TWO,
            'the output "y" was alone, and beside "z" REST answers look different',
        ),
    ],
)
def test_what_does_not_fit(new: Interface, sentence: str) -> None:
    """
    Each thing that a client would notice is named.
    """
    assert differences({"s": OLD}, {"s": new}) == [f'In the signature "s" {sentence}.']


def test_what_is_gone() -> None:
    """
    A signature or an output that is gone is named, and one that never was is not.
    """
    assert differences({"s": OLD}, {}) == ['The signature "s" is gone.']
    assert differences({"s": TWO}, {"s": OLD}) == ['In the signature "s" the output "z" is gone.']
    assert differences({}, {"s": OLD}) == []
