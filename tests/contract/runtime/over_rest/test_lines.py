"""
Lines of the REST API and of the messages that no other table has: odd paths, bodies and fields.
"""

from typing import Any

import grpc
import pytest

from testkit.model_servers import ModelServer

HALF = "half_plus_two"
ONE = b'{"instances": [1.0]}'


def _kind(signature: str, value: Any) -> dict[str, Any]:
    return {"signature_name": signature, "inputs": value}


@pytest.mark.parametrize(
    ("name", "decoded"),
    [("a+b", "a+b"), ("a%2Bb", "a+b"), ("a%2Fb", "a/b"), ("a%3Ab", "a:b"), ("%C3%A4", "ä")],
)
def test_names_that_nobody_has(server: ModelServer, name: str, decoded: str) -> None:
    """
    Names are decoded once matched, and a plus stays a plus.
    """
    for path, message in (
        ("", f"Could not find any versions of model {decoded}"),
        ("/metadata", f"Servable not found for request: Latest({decoded})"),
        ("/versions/3/metadata", f"Servable not found for request: Specific({decoded}, 3)"),
    ):
        answer = server.get(f"/v1/models/{name}{path}")
        assert (answer.status, answer.error) == (404, message)


@pytest.mark.parametrize("kind", ["", "text/html", "application/x-www-form-urlencoded", "a"])
def test_the_type_of_a_body_does_not_matter(server: ModelServer, kind: str) -> None:
    """
    A body is read as JSON, whatever its sender calls it.
    """
    path = f"/v1/models/{HALF}:predict"
    answer = server.request("POST", path, ONE, **{"content-type": kind})
    assert (answer.status, answer.json) == (200, {"predictions": [3.5]})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"more": {"a": [1]}, "instances": [1.0], "id": null}', [3.5]),
        (b'{"instances": [1.0], "instances": [2.0]}', [3.5]),
        (b'{"signature_name": "serving_default", "signature_name": 1, "instances": [0]}', [3.0]),
        (b' \n\t{"instances" : [ 1.0 , 2e0 ] } ', [3.5, 4.0]),
        (b'{"instances": [1.0]}}}]', [3.5]),
        ('{"ä": "\\ud83d\\ude00", "instances": [1.0]}'.encode(), [3.5]),
    ],
)
def test_bodies_that_are_taken(server: ModelServer, body: bytes, expected: list[float]) -> None:
    """
    More keys than needed are ignored, of two equal ones the first counts, and so is the rest.
    """
    answer = server.predict(HALF, body)
    assert (answer.status, answer.json) == (200, {"predictions": expected})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"instances": [Nan]}', "JSON Parse error: Invalid value. at offset: "),
        (b'{"instances": [nan]}', "JSON Parse error: Invalid value. at offset: "),
        (b'{"instances": [1.0,]}', "JSON Parse error: Invalid value. at offset: "),
        (b'{"instances": [01]}', "JSON Parse error: "),
        (b'{"instances": ["\\x"]}', "JSON Parse error: "),
        (b"null", "JSON Value: null Is not object"),
        (b'"text"', 'JSON Value: "text" Is not object'),
    ],
)
def test_bodies_that_are_refused(server: ModelServer, body: bytes, message: str) -> None:
    """
    What is no JSON is refused before the model is looked for.
    """
    for model in (HALF, "none"):
        answer = server.predict(model, body)
        assert answer.status == 400
        assert answer.error.startswith(message)


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        ("kinds", _kind("float32", []), []),
        ("kinds", _kind("float32", 1.5), 1.5),
        ("kinds", _kind("float32", [[[1]], [[2]]]), [[[1.0]], [[2.0]]]),
        ("kinds", _kind("int64", [-(2**63), 2**63 - 1]), [-(2**63), 2**63 - 1]),
        ("kinds", _kind("uint32", [2**32 - 1]), [2**32 - 1]),
        ("kinds", _kind("uint8", [0, 255]), [0, 255]),
        ("kinds", _kind("int16", [-(2**15)]), [-(2**15)]),
        ("kinds", _kind("string", ["a", "ä", ""]), ["a", "ä", ""]),
        ("kinds", _kind("bool", [[True], [False]]), [[True], [False]]),
    ],
)
def test_columns(server: ModelServer, model: str, body: Any, expected: Any) -> None:
    """
    Scalars, empty lists and the bounds of each type come back as they were sent.
    """
    answer = server.predict(model, body)
    assert (answer.status, answer.json) == (200, {"outputs": expected})


@pytest.mark.parametrize(
    ("signature", "value", "kind"),
    [
        ("int8", 128, "Number"),
        ("int16", -(2**15) - 1, "Number"),
        ("uint8", -1, "Number"),
        ("uint8", 256, "Number"),
        ("uint16", 2**16, "Number"),
        ("uint32", 2**32, "Number"),
        ("uint32", -1, "Number"),
        ("uint64", -1, "Number"),
        ("int64", 2**63, "Number"),
        ("int64", 1.5, "Number"),
        ("bool", 1, "Number"),
        ("bool", "true", "String"),
        ("string", 1, "Number"),
        ("string", True, "True"),
        ("string", None, "Null"),
        ("float32", False, "False"),
    ],
)
def test_values_of_another_type(server: ModelServer, signature: str, value: Any, kind: str) -> None:
    """
    A value outside its type, or of another, is named with what it is and what was expected.
    """
    answer = server.predict("kinds", _kind(signature, [value]))
    assert answer.status == 400
    expected = "float" if signature == "float32" else signature
    assert answer.error.endswith(f" Type: {kind} is not of expected type: {expected}")


@pytest.mark.parametrize("asked", [{}, {"signature_name": ""}])
def test_no_usual_signature(server: ModelServer, asked: Any) -> None:
    """
    Who names no signature is told which one the model lacks.
    """
    answer = server.predict("shapes", {"instances": [1], **asked})
    assert (answer.status, answer.error) == (
        400,
        'Serving signature name: "serving_default" not found in signature def',
    )


def test_long_values_are_cut_in_errors(server: ModelServer) -> None:
    """
    An error shows no more than the beginning of a large body.
    """
    answer = server.predict(HALF, {"instances": 1, "more": "x" * 10_000})
    assert answer.status == 400
    assert answer.error.endswith("Expecting 'instances' to be an list/array")
    assert len(answer.error) < 400


# As bytes behind a PredictRequest for half_plus_two: client_id, request_options with all of its
# fields, predict_streamed_options, and a field that nobody has.
SENT_ALONG = {
    "client_id": b"\x32\x01a",
    "request_options": b"\x3a\x0d\x0a\x01a\x10\x01\x18\x01\x20\x01\x30\x05\x48\x01",
    "predict_streamed_options": b"\x2a\x04\x08\x01\x18\x01",
    "unknown": b"\xfa\x3e\x01a",
}


@pytest.mark.parametrize("field", SENT_ALONG)
def test_fields_that_are_ignored(server: ModelServer, channel: grpc.Channel, field: str) -> None:
    """
    Fields of a request for somebody else's server change nothing.
    """
    spec = b"\x0a\x0f\x0a\x0dhalf_plus_two"
    tensor = b"\x08\x01\x12\x04\x12\x02\x08\x01\x2a\x04\x00\x00\x80\x3f"
    entry = b"\x0a\x01x\x12" + bytes([len(tensor)]) + tensor
    inputs = b"\x12" + bytes([len(entry)]) + entry
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    answer = call(spec + inputs + SENT_ALONG[field], timeout=30)
    assert b"\x00\x00\x60\x40" in answer


@pytest.mark.parametrize(
    "method",
    [
        "/tensorflow.ProfilerService/Profile",
        "/tensorflow.serving.PredictionService/PredictStreamed",
        "/tensorflow.serving.ModelService/ListModels",
    ],
)
def test_methods_that_nobody_has(channel: grpc.Channel, method: str) -> None:
    """
    They are unimplemented, as they are of the stock server without its profiler.
    """
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(b"", timeout=30)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
