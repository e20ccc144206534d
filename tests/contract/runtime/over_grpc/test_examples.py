"""
Calls with examples over gRPC, with the stock stubs: Classify, Regress and MultiInference.
"""

import re
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    predict_pb2,
    regression_pb2,
)

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def _example(**features: Any) -> Any:
    example = tf.train.Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, float):
            feature.float_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value)
    return example


def _input(*examples: Any, context: Any = None) -> Any:
    if context is None:
        return input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))
    shared = input_pb2.ExampleListWithContext(examples=examples, context=context)
    return input_pb2.Input(example_list_with_context=shared)


ONE = _input(_example(x=1.0))
TWO = _input(_example(x=1.0, word=b"a"), _example(x=3.0))


def _classification(given: Any, signature: str = "", model: str = "heads") -> Any:
    request = classification_pb2.ClassificationRequest(input=given)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return request


def _regression(given: Any, signature: str = "regress", model: str = "heads") -> Any:
    request = regression_pb2.RegressionRequest(input=given)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return request


def _multi(given: Any, *tasks: tuple[str, str, str]) -> Any:
    request = inference_pb2.MultiInferenceRequest(input=given)
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return request


def _classes(result: Any) -> list[list[tuple[str, float]]]:
    return [
        [(found.label, found.score) for found in example.classes]
        for example in result.classifications
    ]


def _values(result: Any) -> list[float]:
    return [found.value for found in result.regressions]


def _failure(call: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code(), caught.value.details()


@pytest.mark.requirement("row-1")
@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("", [[("a", 1.0), ("other", 2.0)], [("none", 3.0), ("other", 6.0)]]),
        ("scores", [[("", 1.0), ("", 2.0)], [("", 3.0), ("", 6.0)]]),
        ("classes", [[("a", 0.0), ("other", 0.0)], [("none", 0.0), ("other", 0.0)]]),
    ],
)
def test_classify(predictions: Any, signature: str, expected: Any) -> None:
    """
    Each example gets its classes with labels and scores, and the answer says who gave it.
    """
    response = predictions.Classify(_classification(TWO, signature), timeout=30)
    assert _classes(response.result) == expected
    spec = response.model_spec
    assert (spec.name, spec.version.value) == ("heads", 1)
    assert spec.signature_name == (signature or "serving_default")


@pytest.mark.requirement("row-1")
@pytest.mark.parametrize(("signature", "expected"), [("regress", [2.5, 3.5]), ("column", [1, 3])])
def test_regress(predictions: Any, signature: str, expected: Any) -> None:
    """
    Each example gets its number, whether the model gives a vector or a column.
    """
    response = predictions.Regress(_regression(TWO, signature), timeout=30)
    assert _values(response.result) == expected
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == signature


def test_context(predictions: Any) -> None:
    """
    Every example has the context's features, and its own go before them.
    """
    given = _input(_example(n=5), _example(x=1.0), context=_example(x=10.0, n=1))
    response = predictions.Regress(_regression(given, "column"), timeout=30)
    assert _values(response.result) == [15.0, 2.0]


def test_multi_inference(predictions: Any) -> None:
    """
    Several heads read the same examples, and their results come in the order of the tasks.
    """
    request = _multi(TWO, ("heads", "regress", REGRESS), ("heads", "", CLASSIFY))
    regressed, classified = predictions.MultiInference(request, timeout=30).results
    assert _values(regressed.regression_result) == [2.5, 3.5]
    assert _classes(classified.classification_result)[0] == [("a", 1.0), ("other", 2.0)]
    specs = [
        (r.model_spec.signature_name, r.model_spec.version.value) for r in (regressed, classified)
    ]
    assert specs == [("regress", 1), ("serving_default", 1)]


SHAPE = "Expected Tensor shape: [batch_size num_classes] but got [2]"
COLUMN = "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (classification_pb2.ClassificationRequest(), "Missing ModelSpec"),
        (_classification(ONE, model=""), "ModelSpec has no name specified."),
        (_classification(ONE, "X"), "No signature was found with the name: X"),
        (_classification(ONE, model="sums"), "Expected one input Tensor."),
        (_classification(ONE, "two_inputs"), "Expected one input Tensor."),
        (_classification(ONE, "three_outputs"), "Expected one or two output Tensors, found 3"),
        (_classification(_input()), "Input is empty."),
        (_classification(input_pb2.Input()), "Input is empty."),
        (_classification(_input(context=_example(x=1.0))), "Input is empty."),
        (_classification(TWO, "flat_scores"), SHAPE),
        (_classification(TWO, "flat_classes"), SHAPE),
        (
            _classification(TWO, "double_scores"),
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            _classification(TWO, "number_classes"),
            "Expected classes Tensor of DT_STRING. Got: DT_FLOAT",
        ),
        (_classification(TWO, "short_scores"), "Expected scores output batch size of 2. Got: 1"),
        (_classification(TWO, "short_classes"), "Expected classes output batch size of 2. Got: 1"),
        (
            _classification(TWO, "uneven"),
            "Tensors class and score should match in dim_size(1). Got 2 vs. 3",
        ),
    ],
)
def test_classify_errors(predictions: Any, request_: Any, message: str) -> None:
    """
    Each kind of bad classification gets TensorFlow Serving's sentence.
    """
    assert _failure(predictions.Classify, request_) == (INVALID, message)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (regression_pb2.RegressionRequest(), "Missing ModelSpec"),
        (_regression(ONE, model=""), "ModelSpec has no name specified."),
        (_regression(ONE, "X"), "No signature was found with the name: X"),
        (_regression(ONE, "two_inputs"), "Expected one input Tensor."),
        (_regression(ONE, ""), "Expected one output Tensor."),
        (_regression(_input()), "Input is empty."),
        (_regression(TWO, "regress_wide"), COLUMN),
        (
            _regression(TWO, "regress_short"),
            "Input batch size did not match output batch size: 2 vs. 1",
        ),
        (
            _regression(TWO, "regress_integer"),
            "Expected output Tensor of DT_FLOAT.  Got: DT_INT64",
        ),
    ],
)
def test_regress_errors(predictions: Any, request_: Any, message: str) -> None:
    """
    Each kind of bad regression gets TensorFlow Serving's sentence.
    """
    assert _failure(predictions.Regress, request_) == (INVALID, message)


def test_signatures_without_the_names(predictions: Any) -> None:
    """
    A signature whose inputs or outputs have other names is written into the message.
    """
    for call, request, message in (
        (
            predictions.Classify,
            _classification(ONE, "wrong_input"),
            "No classification inputs found in SignatureDef: ",
        ),
        (
            predictions.Classify,
            _classification(ONE, "wrong_output"),
            (
                'Expected classification signature outputs to contain at least one of "classes" or '
                '"scores". Signature was: '
            ),
        ),
        (
            predictions.Regress,
            _regression(ONE, "regress_wrong_input"),
            "No regression inputs found in SignatureDef: ",
        ),
        (
            predictions.Regress,
            _regression(ONE, "regress_wrong_output"),
            "No regression outputs found in SignatureDef: ",
        ),
    ):
        code, found = _failure(call, request)
        assert code == INVALID
        assert re.match(re.escape(message) + "inputs {", found)


@pytest.mark.parametrize("method", ["Classify", "Regress"])
def test_examples_that_the_model_refuses(predictions: Any, method: str) -> None:
    """
    An example without a feature that the model needs gets the model's own words.
    """
    given = _input(_example(n=1))
    request = _classification(given) if method == "Classify" else _regression(given)
    code, message = _failure(getattr(predictions, method), request)
    assert code == INVALID
    assert "Feature: x (data type: float) is required but could not be found." in message


def test_unknown_models(predictions: Any) -> None:
    """
    What is not there is not found, whatever is asked of it.
    """
    for call, request in (
        (predictions.Classify, _classification(ONE, model="m")),
        (predictions.Regress, _regression(ONE, model="m")),
        (predictions.MultiInference, _multi(ONE, ("m", "", CLASSIFY))),
    ):
        assert _failure(call, request) == (
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Latest(m)",
        )
    request = _classification(ONE)
    request.model_spec.version_label = "L"
    assert _failure(predictions.Classify, request) == (
        INVALID,
        "Unrecognized servable version label: L",
    )


HEAD = ("heads", "regress", REGRESS)


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (_multi(ONE), INVALID, "ModelSpec has no name specified."),
        (
            _multi(ONE, HEAD, ("", "", CLASSIFY)),
            INVALID,
            "Found ModelSpec with an empty model name.",
        ),
        (
            _multi(ONE, HEAD, ("sums", "", CLASSIFY)),
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (_multi(ONE, HEAD, HEAD), INVALID, "Duplicate evaluation of signature: regress"),
        (
            _multi(ONE, HEAD, ("heads", "X", CLASSIFY)),
            INVALID,
            "Requested signature not found in model graph: X",
        ),
        (_multi(_input(), HEAD), INVALID, "Input is empty."),
        (
            _multi(ONE, HEAD, ("heads", "elsewhere", REGRESS)),
            INVALID,
            "Input tensor must be the same for all Signatures.",
        ),
        (_multi(ONE, ("heads", "two_inputs", CLASSIFY)), INVALID, "Expected one input Tensor."),
        (_multi(TWO, ("heads", "regress_wide", REGRESS)), INVALID, COLUMN),
        (
            _multi(ONE, HEAD, ("heads", "predict", "tensorflow/serving/predict")),
            grpc.StatusCode.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
    ],
)
def test_multi_inference_errors(
    predictions: Any, request_: Any, code: grpc.StatusCode, message: str
) -> None:
    """
    Each kind of bad multi-inference gets TensorFlow Serving's code and sentence.
    """
    assert _failure(predictions.MultiInference, request_) == (code, message)


def test_multi_inference_has_one_version(predictions: Any) -> None:
    """
    A task that names another version than the first one is refused, as that would not answer it.
    """
    request = _multi(ONE, HEAD, ("heads", "", CLASSIFY))
    request.tasks[0].model_spec.version.value = 1
    assert len(predictions.MultiInference(request, timeout=30).results) == 2
    request.tasks[1].model_spec.version.value = 2
    assert _failure(predictions.MultiInference, request) == (
        INVALID,
        "All ModelSpecs in a MultiInferenceRequest must access the same version.",
    )


def test_predict_takes_examples(predictions: Any) -> None:
    """
    Predict calls a signature of another method with serialised examples as its strings.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "heads", "regress"
    serialized = [_example(x=4.0).SerializeToString()]
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto(serialized))
    assert predictions.Predict(request, timeout=30).outputs["outputs"].float_val[0] == 4.0
