"""
Predictions over REST: what TensorFlow Serving's clients send and read.
"""

import json
import math
from typing import Any

import pytest

from testkit.model_servers import ModelServer

HALF = "half_plus_two"


@pytest.mark.requirement("row-2")
def test_first_request(server: ModelServer) -> None:
    """
    half_plus_two answers the request that everybody sends first.
    """
    answer = server.predict(f"{HALF}/versions/1", {"instances": [1.0, 2.0, 5.0]})
    assert (answer.status, answer.json) == (200, {"predictions": [2.5, 3.0, 4.5]})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-model-version"] == "1"


@pytest.mark.requirement("row-5")
@pytest.mark.parametrize(
    ("path", "version", "first"),
    [
        (HALF, "2", 3.5),
        (f"{HALF}/versions/1", "1", 2.5),
        (f"{HALF}/versions/00001", "1", 2.5),
        (f"{HALF}/labels/stable", "1", 2.5),
    ],
)
def test_choice_of_version(server: ModelServer, path: str, version: str, first: float) -> None:
    """
    The newest version answers unless the path names a version or a label.
    """
    answer = server.predict(path, {"instances": [1.0]})
    assert answer.json == {"predictions": [first]}
    assert answer.headers["x-model-version"] == version


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        (HALF, {"inputs": [1.0, 2.0]}, {"outputs": [3.5, 4.0]}),
        (HALF, {"inputs": {"x": [1.0], "more": 3}}, {"outputs": [3.5]}),
        (HALF, {"instances": [{"x": 1}, {"x": 2}]}, {"predictions": [3.5, 4.0]}),
        (HALF, {"signature_name": "serving_default", "inputs": [0]}, {"outputs": [3.0]}),
        (
            "sums",
            {"instances": [{"a": [1, 2], "b": 3}, {"a": [4, 5], "b": 6}]},
            {
                "predictions": [
                    {"doubled": [2.0, 4.0], "sum": 6.0},
                    {"doubled": [8.0, 10.0], "sum": 15.0},
                ]
            },
        ),
        (
            "sums",
            {"inputs": {"a": [[1, 2]], "b": [3]}},
            {"outputs": {"doubled": [[2.0, 4.0]], "sum": [6.0]}},
        ),
        (
            "shapes",
            {"signature_name": "text", "instances": ["a", {"b64": "/wA="}, {"b64": "w6Q"}]},
            {
                "predictions": [
                    {"same": "a", "same_bytes": {"b64": "YQ=="}},
                    {"same": "\udcff\x00", "same_bytes": {"b64": "/wA="}},
                    {"same": "ä", "same_bytes": {"b64": "w6Q="}},
                ]
            },
        ),
        ("shapes", {"signature_name": "scalar", "inputs": [1, 2]}, {"outputs": 3.0}),
        (
            "shapes",
            {"signature_name": "passed", "inputs": [1]},
            {"outputs": {"x": [1.0], "y": [2.0]}},
        ),
        (
            "kinds",
            {"signature_name": "bool", "instances": [True, False]},
            {"predictions": [True, False]},
        ),
        ("kinds", {"signature_name": "float32", "instances": [[]]}, {"predictions": [[]]}),
        ("kinds", {"signature_name": "string", "inputs": {"b64": "YQ=="}}, {"outputs": "a"}),
        ("kinds", {"signature_name": "uint64", "inputs": 2**64 - 1}, {"outputs": 2**64 - 1}),
        (
            "kinds",
            {"signature_name": "int8", "inputs": [[-128], [127]]},
            {"outputs": [[-128], [127]]},
        ),
    ],
)
def test_forms(server: ModelServer, model: str, body: Any, expected: Any) -> None:
    """
    Row and column form, with one input or several, give what was asked for.
    """
    answer = server.predict(model, body)
    assert answer.status == 200, answer.body
    assert json.loads(answer.body.decode("utf-8", "surrogateescape")) == expected


@pytest.mark.parametrize(
    ("signature", "sent", "read"),
    [
        ("float32", [0.2, 1 / 3, 1e20, 9e6, 3.4e38], [0.2, 0.333333343, 1e20, 9e6, 3.4e38]),
        ("float64", [0.2, 1 / 3], [0.2, 1 / 3]),
        ("float32", [1e39, -1e39, 1e-50], [math.inf, -math.inf, 0.0]),
        ("int64", [2**63 - 1, -(2**63)], [2**63 - 1, -(2**63)]),
    ],
)
def test_numbers(server: ModelServer, signature: str, sent: Any, read: Any) -> None:
    """
    A client reads the doubles that TensorFlow Serving's text gives it.
    """
    answer = server.predict("kinds", {"signature_name": signature, "instances": sent})
    assert answer.json == {"predictions": read}


def test_floats_stay_floats(server: ModelServer) -> None:
    """
    A float without a fraction is written with one, so that clients do not take it for an integer.
    """
    body = {"signature_name": "float32", "instances": [1, 999999]}
    assert b"[1.0,999999.0]" in server.predict("kinds", body).body


def test_not_a_number(server: ModelServer) -> None:
    """
    NaN and the infinities come and go as words, and what follows the document is ignored.
    """
    body = b'{"instances": [NaN, Infinity, -Infinity, Inf, -Inf, 1]} rubbish'
    predictions = server.predict(HALF, body).json["predictions"]
    assert math.isnan(predictions[0])
    assert predictions[1:] == [math.inf, -math.inf, math.inf, -math.inf, 3.5]


def test_large_body(server: ModelServer) -> None:
    """
    A body that is parsed in a thread gives the same as a small one.
    """
    numbers = [float(number) for number in range(20_000)]
    answer = server.predict(HALF, {"instances": numbers})
    assert answer.json["predictions"] == [number / 2 + 3 for number in numbers]


ROW = "Failed to process element: "
BOTH = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
PLAIN = "as multiple input tensors required as per tensorinfo_map"
ERRORS: list[tuple[str, Any, int, str]] = [
    ("none", {"instances": [1]}, 404, "Servable not found for request: Latest(none)"),
    ("none/versions/3", {}, 404, "Servable not found for request: Specific(none, 3)"),
    (f"{HALF}/versions/9", {}, 404, f"Servable not found for request: Specific({HALF}, 9)"),
    (f"{HALF}/labels/none", {}, 400, "Unrecognized servable version label: none"),
    (f"{HALF}/labels/gone", {}, 404, f"Servable not found for request: Specific({HALF}, 7)"),
    ("broken", {"instances": [1]}, 404, "Servable not found for request: Latest(broken)"),
    ("incomplete", {"instances": [1]}, 404, "Servable not found for request: Latest(incomplete)"),
    ("none", b"", 400, "JSON Parse error: The document is empty"),
    (HALF, b"   ", 400, "JSON Parse error: The document is empty. at offset: 3"),
    (HALF, b"instances = [1]", 400, "JSON Parse error: Invalid value. at offset: 0"),
    (HALF, b"{1:2}", 400, "JSON Parse error: Missing a name for object member. at offset: 1"),
    (
        HALF,
        b'{"a" 1}',
        400,
        "JSON Parse error: Missing a colon after a name of object member. at offset: 5",
    ),
    (
        HALF,
        b'{"a":1 "b"',
        400,
        "JSON Parse error: Missing a comma or '}' after an object member. at offset: 7",
    ),
    (
        HALF,
        b'{"instances": [1 2]}',
        400,
        "JSON Parse error: Missing a comma or ']' after an array element. at offset: 17",
    ),
    (
        HALF,
        b'{"a',
        400,
        "JSON Parse error: Missing a closing quotation mark in string. at offset: 3",
    ),
    (
        HALF,
        b'{"a":1e999}',
        400,
        "JSON Parse error: Number too big to be stored in double. at offset: 5",
    ),
    (HALF, [1], 400, "JSON Value: [1] Is not object"),
    (
        HALF,
        {"signature_name": 1},
        400,
        (
            'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
            "'signature_name' key must be a string value."
        ),
    ),
    (
        HALF,
        {"signature_name": "other"},
        400,
        'Serving signature name: "other" not found in signature def',
    ),
    (
        "shapes",
        {"signature_name": "constant", "instances": []},
        400,
        "Failed to get input map for signature: constant",
    ),
    (HALF, {}, 400, "Missing 'inputs' or 'instances' key"),
    (
        HALF,
        {"inputs": 1, "instances": 2},
        400,
        'JSON Value: {\n    "inputs": 1,\n    "instances": 2\n} ' + BOTH,
    ),
    (
        HALF,
        {"instances": 3},
        400,
        "JSON Value: {\n    \"instances\": 3\n} Expecting 'instances' to be an list/array",
    ),
    (
        HALF,
        {"instances": []},
        400,
        "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
    ),
    (
        "sums",
        {"instances": [1]},
        400,
        "instances is a plain list, but expecting list of objects " + PLAIN,
    ),
    (
        HALF,
        {"instances": [{"x": 1}, 2]},
        400,
        "Expecting object but got list at item 1 of input list",
    ),
    (
        HALF,
        {"instances": [1, {"x": 1}]},
        400,
        "Expecting value/list but got object at item 1 of input list",
    ),
    (
        HALF,
        {"instances": [{"x": 1}, {"z": 1}]},
        400,
        ROW + "1 key: z of 'instances' list. Error: INVALID_ARGUMENT: "
        "JSON object: does not have named input: z",
    ),
    (
        "sums",
        {"instances": [{"a": [1, 2]}]},
        400,
        ROW + "0 of 'instances' list. JSON object: {\n    \"a\": [1, 2]\n} "
        "keys must be equal to: a,b",
    ),
    (
        "kinds",
        {"signature_name": "float32", "instances": [[1, 2], [1]]},
        400,
        ROW + "1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1",
    ),
    (
        "kinds",
        {"signature_name": "float32", "instances": [[1, 2], [[1], [2]]]},
        400,
        ROW + "1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [2] but got: [2,1]",
    ),
    (
        "kinds",
        {"signature_name": "float32", "instances": [1, [1]]},
        400,
        ROW + "1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] but got: [1]",
    ),
    (
        HALF,
        {"instances": ["a"]},
        400,
        ROW + "0 of 'instances' list. Error: INVALID_ARGUMENT: "
        'JSON Value: "a" Type: String is not of expected type: float',
    ),
    (
        HALF,
        {"instances": [1, None]},
        400,
        ROW + "1 of 'instances' list. Error: INVALID_ARGUMENT: "
        "JSON Value: null Type: Null is not of expected type: float",
    ),
    (
        HALF,
        {"instances": [True]},
        400,
        ROW + "0 of 'instances' list. Error: INVALID_ARGUMENT: "
        "JSON Value: true Type: True is not of expected type: float",
    ),
    (
        "kinds",
        {"signature_name": "int32", "inputs": [1.0]},
        400,
        "JSON Value: 1.0 Type: Number is not of expected type: int32",
    ),
    (
        "kinds",
        {"signature_name": "int32", "inputs": [2**31]},
        400,
        "JSON Value: 2147483648 Type: Number is not of expected type: int32",
    ),
    (
        "kinds",
        {"signature_name": "bool", "inputs": [0]},
        400,
        "JSON Value: 0 Type: Number is not of expected type: bool",
    ),
    (
        "kinds",
        {"signature_name": "float32", "inputs": [[1], 2]},
        400,
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    (
        "kinds",
        {"signature_name": "float32", "inputs": [1, [2]]},
        400,
        "Encountered list at unexpected level: 1 expected < 1",
    ),
    (
        "kinds",
        {"signature_name": "float32", "inputs": [[1, 2], [3]]},
        400,
        "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    (
        "kinds",
        {"signature_name": "float16", "instances": [1]},
        400,
        ROW + "0 of 'instances' list. Error: UNIMPLEMENTED: "
        "Conversion of JSON Value: 1 to type: half",
    ),
    (
        "kinds",
        {"signature_name": "complex64", "inputs": [1]},
        501,
        "Conversion of JSON Value: 1 to type: complex64",
    ),
    (
        "sums",
        {"inputs": [1]},
        400,
        "inputs is a plain value/list, but expecting an object " + PLAIN,
    ),
    ("sums", {"inputs": {"a": [[1, 2]]}}, 400, "Missing named input: b in 'inputs' object."),
    (
        "kinds",
        {"signature_name": "string", "inputs": [{"b64": 1}]},
        400,
        'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data',
    ),
    (
        "kinds",
        {"signature_name": "string", "inputs": [{"b64": "*"}]},
        400,
        "Unable to base64 decode",
    ),
    (
        "kinds",
        {"signature_name": "string", "inputs": [{"b64": "_w=="}]},
        400,
        "Unable to base64 decode",
    ),
    (
        "shapes",
        {"signature_name": "scalar", "instances": [1]},
        400,
        "Tensor name: y has no shape information ",
    ),
    (
        "shapes",
        {"signature_name": "complex", "instances": [1]},
        400,
        "Failed to write JSON value for tensor type: complex64",
    ),
    (
        "shapes",
        {"signature_name": "half", "inputs": [1]},
        400,
        "Failed to write JSON value for tensor type: half",
    ),
    (
        "heads",
        {"signature_name": "no_outputs", "instances": ["a"]},
        400,
        "Cannot convert empty tensor map to JSON",
    ),
    (
        "shapes",
        {"signature_name": "uneven", "instances": [1, 2]},
        400,
        "Tensor name: b has inconsistent batch size: 1 expecting: 2",
    ),
]


@pytest.mark.parametrize(("model", "body", "status", "message"), ERRORS)
def test_errors(server: ModelServer, model: str, body: Any, status: int, message: str) -> None:
    """
    Each kind of bad input gets TensorFlow Serving's status and sentence.
    """
    answer = server.predict(model, body)
    assert answer.error == message
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"


def test_unwritable_output(server: ModelServer) -> None:
    """
    An error of the model itself is told with its own words, and its status.
    """
    answer = server.predict("sums", {"inputs": {"a": [[1, 2]], "b": [1, 2, 3, 4, 5], "c": 1}})
    assert answer.status == 200
    answer = server.predict("sums", {"inputs": {"a": [[1, 2], [3, 4]], "b": [1, 2, 3]}})
    assert answer.status == 400
    assert "Incompatible shapes" in answer.error


def test_layout_of_errors(server: ModelServer) -> None:
    """
    An error is laid out over three lines with four spaces.
    """
    assert server.predict(HALF, {}).body == (
        b"{\n    \"error\": \"Missing 'inputs' or 'instances' key\"\n}"
    )


def test_deep_nesting(server: ModelServer) -> None:
    """
    A body that is nested a hundred thousand deep is refused, and the server lives on.
    """
    depth = 100_000
    body = b'{"instances": ' + b"[" * depth + b"]" * depth + b"}"
    assert server.predict(HALF, body).status == 400
    assert server.predict(HALF, {"instances": [1.0]}).status == 200
