"""Results of classifications and regressions as messages."""

from typing import Any

from modeldeploy_runtime.inference.classify import Classifications
from modeldeploy_runtime.inference.lookup import DEFAULT_SIGNATURE
from modeldeploy_runtime.inference.multi_inference import Task
from modeldeploy_runtime.tensors.dtypes import Array


def fill_classification(target: Any, found: Classifications) -> None:
    """
    Fill an empty ClassificationResult.

    A model that gives no labels or no scores leaves these fields at their defaults.
    """
    labels = None if found.labels is None else found.labels.tolist()
    scores = None if found.scores is None else found.scores.tolist()
    for row, of_row in enumerate((labels or ()) if scores is None else scores):
        classes = target.classifications.add().classes
        for column in range(len(of_row)):
            # What is no UTF-8 cannot be in a string field: clients would fail to read the message.
            label = "" if labels is None else labels[row][column].decode("utf-8", "replace")
            classes.add(label=label, score=0.0 if scores is None else scores[row][column])


def fill_regression(target: Any, values: Array) -> None:
    """Fill an empty RegressionResult with float32 values, shape (examples,)."""
    for value in values.tolist():
        target.regressions.add(value=value)


def fill_task(target: Any, task: Task, result: Classifications | Array) -> None:
    """Fill the result and the signature of an empty InferenceResult."""
    if isinstance(result, Classifications):
        target.classification_result.SetInParent()
        fill_classification(target.classification_result, result)
    else:
        target.regression_result.SetInParent()
        fill_regression(target.regression_result, result)
    target.model_spec.signature_name = task.signature or DEFAULT_SIGNATURE
