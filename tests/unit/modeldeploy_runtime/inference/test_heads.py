"""
Classification and regression: what signatures and outputs they take, in TensorFlow Serving's words.
"""

import re
from typing import Any

import numpy as np
import pytest

from modeldeploy_runtime.inference import classify, regress
from modeldeploy_runtime.loaders.signatures import SessionSignature
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import Code, ServingError
from modeldeploy_runtime.tensors import examples


def _signature(inputs: list[str], outputs: list[str], method: str) -> SessionSignature:
    definition = messages.SignatureDef(method_name=method)
    for aliases, infos in ((inputs, definition.inputs), (outputs, definition.outputs)):
        for alias in aliases:
            infos[alias].name = f"{alias}:0"
            infos[alias].dtype = 1
    return SessionSignature("s", definition.SerializeToString(), lambda *_: None)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["a", "b"], ["scores"], "Expected one input Tensor."),
        ([], ["scores"], "Expected one input Tensor."),
        (["inputs"], ["a", "b", "c"], "Expected one or two output Tensors, found 3"),
        (["inputs"], [], "Expected one or two output Tensors, found 0"),
        (["x"], ["scores"], "No classification inputs found in SignatureDef: inputs {"),
        (
            ["inputs"],
            ["y"],
            (
                'Expected classification signature outputs to contain at least one of "classes" or '
                '"scores". Signature was: inputs {'
            ),
        ),
    ],
)
def test_signatures_that_cannot_classify(
    inputs: list[str], outputs: list[str], message: str
) -> None:
    """
    A signature must have one input and the outputs of a classification.
    """
    with pytest.raises(ServingError, match=re.escape(message)) as caught:
        classify.check(_signature(inputs, outputs, "any"), check_method_name=False)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (["a", "b"], ["outputs"], "Expected one input Tensor."),
        (["inputs"], ["outputs", "more"], "Expected one output Tensor."),
        (["x"], ["outputs"], "No regression inputs found in SignatureDef: inputs {"),
        (["inputs"], ["y"], "No regression outputs found in SignatureDef: inputs {"),
    ],
)
def test_signatures_that_cannot_regress(
    inputs: list[str], outputs: list[str], message: str
) -> None:
    """
    A signature must have one input and one output, with a regression's names.
    """
    with pytest.raises(ServingError, match=re.escape(message)) as caught:
        regress.check(_signature(inputs, outputs, "any"), check_method_name=False)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_method_names() -> None:
    """
    The method that a signature was exported for matters only to who asks.
    """
    scores = _signature(["inputs"], ["scores"], "mine")
    classify.check(scores, check_method_name=False)
    with pytest.raises(ServingError) as caught:
        classify.check(scores, check_method_name=True)
    assert caught.value.message == (
        "Expected classification signature method_name to be tensorflow/serving/classify. Was: mine"
    )
    with pytest.raises(ServingError) as caught:
        regress.check(_signature(["inputs"], ["outputs"], "mine"), check_method_name=True)
    assert caught.value.message == (
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: mine"
    )


def _strings(*shape: int) -> Any:
    return np.full(shape, b"a", dtype=object)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            {"classes": _strings(2)},
            "Expected Tensor shape: [batch_size num_classes] but got [2]",
        ),
        (
            {"scores": np.zeros((2, 3, 1), np.float32)},
            "Expected Tensor shape: [batch_size num_classes] but got [2,3,1]",
        ),
        (
            {"classes": np.zeros((2, 3), np.int64)},
            "Expected classes Tensor of DT_STRING. Got: DT_INT64",
        ),
        (
            {"scores": np.zeros((2, 3), np.float64)},
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        ({"classes": _strings(1, 3)}, "Expected classes output batch size of 2. Got: 1"),
        (
            {"scores": np.zeros((3, 3), np.float32)},
            "Expected scores output batch size of 2. Got: 3",
        ),
        (
            {"classes": _strings(2, 3), "scores": np.zeros((2, 4), np.float32)},
            "Tensors class and score should match in dim_size(1). Got 3 vs. 4",
        ),
    ],
)
def test_outputs_that_are_no_classification(outputs: Any, message: str) -> None:
    """
    The outputs must be a class or a score for each example and class.
    """
    with pytest.raises(ServingError) as caught:
        classify.read(outputs, 2)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            np.zeros((2, 2), np.float32),
            (
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
                "[2,2]"
            ),
        ),
        (
            np.zeros((), np.float32),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []",
        ),
        (np.zeros(3, np.float32), "Input batch size did not match output batch size: 2 vs. 3"),
        (np.zeros(2, np.float64), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    ],
)
def test_outputs_that_are_no_regression(output: Any, message: str) -> None:
    """
    The output must be one float for each example.
    """
    with pytest.raises(ServingError) as caught:
        regress.read(output, 2)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)


def test_a_column_is_a_regression() -> None:
    """
    One float for each example may come as a column.
    """
    assert regress.read(np.array([[1.0], [2.0]], np.float32), 2).tolist() == [1.0, 2.0]


def _example(**features: float) -> Any:
    example = messages.Input().example_list.examples.add()
    for name, value in features.items():
        example.features.feature[name].float_list.value.append(value)
    return example


def test_context_is_merged() -> None:
    """
    Each example gets the context's features, and its own go before them.
    """
    given = messages.Input()
    shared = given.example_list_with_context
    shared.context.CopyFrom(_example(a=1.0, b=2.0))
    shared.examples.append(_example(b=3.0))
    shared.examples.append(_example())
    merged = [type(shared.context).FromString(data) for data in examples.to_array(given)]
    assert merged == [_example(a=1.0, b=3.0), _example(a=1.0, b=2.0)]


@pytest.mark.parametrize("kind", ["", "example_list", "example_list_with_context"])
def test_no_examples(kind: str) -> None:
    """
    An input without examples is refused.
    """
    given = messages.Input()
    if kind:
        getattr(given, kind).SetInParent()
    with pytest.raises(ServingError) as caught:
        examples.to_array(given)
    assert caught.value.message == "Input is empty."
