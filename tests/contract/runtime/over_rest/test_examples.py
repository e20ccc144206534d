"""
Classifications and regressions over REST: what TensorFlow Serving's clients send and read.
"""

import json
from typing import Any

import pytest

from testkit.model_servers import Answer, ModelServer


def _ask(server: ModelServer, verb: str, body: Any, model: str = "heads") -> Answer:
    return server.request("POST", f"/v1/models/{model}:{verb}", body)


@pytest.mark.requirement("row-1")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"examples": [{"x": 1.0, "word": "a"}, {"x": 3.0}]},
            [[["a", 1.0], ["other", 2.0]], [["none", 3.0], ["other", 6.0]]],
        ),
        (
            {"examples": [{"x": [0.2], "word": {"b64": "w6Q="}}]},
            [[["ä", 0.2], ["other", 0.4]]],
        ),
        (
            {"context": {"x": 2.0, "word": "shared"}, "examples": [{}, {"word": "own"}]},
            [[["shared", 2.0], ["other", 4.0]], [["own", 2.0], ["other", 4.0]]],
        ),
        (
            {"signature_name": "scores", "examples": [{"x": 1.0}]},
            [[["", 1.0], ["", 2.0]]],
        ),
        (
            {"signature_name": "classes", "examples": [{"x": 1.0}]},
            [[["none", 0.0], ["other", 0.0]]],
        ),
    ],
)
def test_classify(server: ModelServer, body: Any, expected: Any) -> None:
    """
    Each example gets a list of labels and scores; the header says which version gave it.
    """
    answer = _ask(server, "classify", body)
    assert (answer.status, answer.json) == (200, {"results": expected})
    assert answer.headers["x-model-version"] == "1"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.requirement("row-1")
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"signature_name": "regress", "examples": [{"x": 1.0}, {"x": 3.0}]}', [2.5, 3.5]),
        (b'{"signature_name": "column", "examples": [{"x": 1.0, "n": 2}]}', [3.0]),
        (b'{"signature_name": "column", "examples": [{"x": 1.0, "n": true}]}', [2.0]),
        (b'{"signature_name": "column", "examples": [{"x": 1e2, "n": [7]}]}', [107.0]),
        (
            b'{"signature_name": "column", "examples": [{"x": NaN}, {"x": -Inf}]} rest',
            ["nan", "-inf"],
        ),
    ],
)
def test_regress(server: ModelServer, body: bytes, expected: list[Any]) -> None:
    """
    Each example gets a number.
    """
    answer = _ask(server, "regress", body)
    assert answer.status == 200, answer.body
    results = answer.json["results"]
    assert [f"{found}" for found in results] == [f"{value}" for value in expected]


def test_versions_and_labels(server: ModelServer) -> None:
    """
    A version may be named in the path; one that is not there is not found.
    """
    body = {"examples": [{"x": 1.0}]}
    assert _ask(server, "classify", body, "heads/versions/1").status == 200
    answer = _ask(server, "classify", body, "heads/versions/2")
    assert (answer.status, answer.error) == (
        404,
        "Servable not found for request: Specific(heads, 2)",
    )
    answer = _ask(server, "regress", body, "heads/labels/L")
    assert (answer.status, answer.error) == (400, "Unrecognized servable version label: L")


MISSING = "When method is classify, key 'examples' is expected and was not found"
ERRORS: list[tuple[Any, int, str]] = [
    (b"", 400, "JSON Parse error: The document is empty"),
    ([1], 400, "JSON Value: [1] Is not object"),
    (
        {"signature_name": 1, "examples": []},
        400,
        (
            'JSON Value: {\n    "signature_name": 1,\n    "examples": []\n} '
            "not formatted correctly. "
            "'signature_name' key must be a string value."
        ),
    ),
    ({}, 400, f"JSON Value: {{}} {MISSING}"),
    (
        {"examples": 1},
        400,
        "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array",
    ),
    (
        {"examples": []},
        400,
        "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array",
    ),
    ({"examples": [1]}, 400, "Example must be JSON object but got JSON Number"),
    ({"examples": [[]]}, 400, "Example must be JSON object but got JSON Array"),
    (
        {"examples": [{}], "context": "a"},
        400,
        "Example must be JSON object but got JSON String",
    ),
    (
        {"examples": [{"x": None}]},
        400,
        "Feature: x has element with unexpected JSON type: Null",
    ),
    (
        {"examples": [{"x": {"y": 1}}]},
        400,
        "Feature: x has element with unexpected JSON type: Object",
    ),
    (
        {"examples": [{"x": [[1]]}]},
        400,
        "Feature: x has element with unexpected JSON type: Array",
    ),
    (
        {"examples": [{"x": [1, 2.0]}]},
        400,
        "Unexpected element type in feature: x expecting type: int64",
    ),
    (
        {"examples": [{"x": [1.0, "a"]}]},
        400,
        "Unexpected element type in feature: x expecting type: float",
    ),
    (
        {"examples": [{"x": ["a", True]}]},
        400,
        "Unexpected element type in feature: x expecting type: bytes",
    ),
    (
        {"examples": [{"x": 2**63}]},
        400,
        "Feature: x has uint64_t element. Only int64_t is supported.",
    ),
    ({"examples": [{"x": {"b64": "*"}}]}, 400, "Unable to base64 decode"),
    (
        {"signature_name": "X", "examples": [{"x": 1.0}]},
        400,
        "No signature was found with the name: X",
    ),
]


@pytest.mark.parametrize("verb", ["classify", "regress"])
@pytest.mark.parametrize(("body", "status", "message"), ERRORS)
def test_errors(server: ModelServer, verb: str, body: Any, status: int, message: str) -> None:
    """
    Each kind of bad input gets TensorFlow Serving's status and sentence.
    """
    answer = _ask(server, verb, body)
    assert (answer.error, answer.status) == (message, status)


def test_the_body_is_read_before_the_model_is_looked_for(server: ModelServer) -> None:
    """
    A bad body to a model that does not exist is a bad body, and a good one finds no model.
    """
    assert _ask(server, "classify", {"examples": [1]}, "none").status == 400
    answer = _ask(server, "classify", {"examples": [{"x": 1.0}]}, "none")
    assert (answer.status, answer.error) == (404, "Servable not found for request: Latest(none)")


@pytest.mark.parametrize(
    ("verb", "signature", "message"),
    [
        ("classify", "two_inputs", "Expected one input Tensor."),
        ("classify", "three_outputs", "Expected one or two output Tensors, found 3"),
        ("regress", "serving_default", "Expected one output Tensor."),
        ("regress", "regress_short", "Input batch size did not match output batch size: 1 vs. 0"),
    ],
)
def test_signatures_that_do_not_fit(
    server: ModelServer, verb: str, signature: str, message: str
) -> None:
    """
    A signature that is made for something else is refused in TensorFlow Serving's words.
    """
    answer = _ask(server, verb, {"signature_name": signature, "examples": [{"x": 1.0}]})
    assert (answer.error, answer.status) == (message, 400)


def test_integers_are_no_floats(server: ModelServer) -> None:
    """
    A number without a point is an integer, which the model's parser refuses for a float feature.
    """
    answer = _ask(server, "classify", {"examples": [{"x": 2}]})
    assert answer.status == 400
    assert "Data types don't match." in answer.error


def test_large_body(server: ModelServer) -> None:
    """
    A body that is parsed in a thread gives the same as a small one.
    """
    body = {"signature_name": "regress", "examples": [{"x": float(n)} for n in range(3000)]}
    answer = _ask(server, "regress", json.dumps(body).encode())
    assert answer.json["results"] == [n / 2 + 2 for n in range(3000)]
