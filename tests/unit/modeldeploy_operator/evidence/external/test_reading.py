"""
The one number in an answer, or why there is none.
"""

import json
from typing import Any

import pytest

from modeldeploy_operator.evidence.external import credentials, filling, reading
from modeldeploy_operator.evidence.external.asking import AskError
from modeldeploy_operator.evidence.external.filling import Facts

FACTS = Facts("mnist", "vision", "digits", "rev2", "2", "rev1", '1"\\')
DOCUMENT = json.dumps(
    {"data": [{"rate": 0.5, "error rate": 2}], "ok": True, "text": "7", "none": None, "big": 1e400}
).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [("$.data[0].rate", 0.5), ("$['data'][0]['error rate']", 2.0), ("$.ok", 1.0)],
)
def test_a_number_at_a_path(path: str, value: float) -> None:
    """
    By names and indexes; true counts as 1.
    """
    assert reading.at_path(DOCUMENT, path) == value


def test_the_document_may_be_the_number() -> None:
    """
    `$` is all of it.
    """
    assert reading.at_path(b"3", "$") == 3.0


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("$.data[1].rate", "The answer has nothing at $.data[1]."),
        ("$.data.rate", "The answer has nothing at $.data.rate."),
        ("$.ok.rate", "The answer has nothing at $.ok.rate."),
        ("$[0]", "The answer has nothing at $[0]."),
        ("$.missing", "The answer has nothing at $.missing."),
        ("$.text", 'At $.text stands "7", which is no number.'),
        ("$.none", "At $.none stands null, which is no number."),
        ("$.data", "At $.data stands"),
        ("$.big", "The value is inf, which is no number to compare."),
    ],
)
def test_no_number_at_a_path(path: str, why: str) -> None:
    """
    That is no bad measurement, but none.
    """
    with pytest.raises(AskError) as caught:
        reading.at_path(DOCUMENT, path)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 100_000])
def test_what_is_no_json(body: bytes) -> None:
    """
    Whatever a server sends, the sentence is short.
    """
    with pytest.raises(AskError, match="The answer is no JSON"):
        reading.at_path(body, "$")


def _answer(kind: str, result: Any) -> bytes:
    data = {"resultType": kind, "result": result}
    return json.dumps({"status": "success", "data": data}).encode()


def test_a_query_gives_one_number() -> None:
    """
    A scalar, or a vector of one element.
    """
    assert reading.prometheus(_answer("scalar", [1, "0.25"])) == 0.25
    assert reading.prometheus(_answer("vector", [{"metric": {}, "value": [1, "4"]}])) == 4.0


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (_answer("vector", []), "The query gives no sample"),
        (_answer("vector", [{}, {}]), "The query gives 2 series, where one is wanted"),
        (_answer("vector", [{"value": [1, "NaN"]}]), "The value is nan"),
        (_answer("scalar", [1, "+Inf"]), "The value is inf"),
        (_answer("matrix", []), "The query gives a matrix"),
        (_answer("vector", [{}]), "The answer is none of Prometheus'"),
        (_answer("scalar", [1, "many"]), "The answer is none of Prometheus'"),
        (b"[]", "The answer is none of Prometheus'"),
        (b'{"status": "error"}', "The answer is none of Prometheus'"),
    ],
)
def test_a_query_gives_no_number(body: bytes, why: str) -> None:
    """
    Nothing, several, or what cannot be compared.
    """
    with pytest.raises(AskError) as caught:
        reading.prometheus(body)
    assert str(caught.value).startswith(why)


def test_what_is_filled_in() -> None:
    """
    Each placeholder, quoted for where it stands.
    """
    text = "{{name}} {{namespace}} {{model}} {{canary}} {{canaryVersion}} {{stable}}"
    assert filling.fill(text, FACTS, str) == "mnist vision digits rev2 2 rev1"
    query = 'up{v="{{stableVersion}}"}'
    assert filling.fill(query, FACTS, filling.in_query) == 'up{v="1\\"\\\\"}'


def test_credentials() -> None:
    """
    A token goes before a password.
    """
    both = {"token": "abc\n", "username": "me", "password": "x"}
    assert credentials.header("s", both) == {"Authorization": "Bearer abc"}
    del both["token"]
    assert credentials.header("s", both) == {"Authorization": "Basic bWU6eA=="}


@pytest.mark.parametrize(
    "found", [{}, {"username": "me"}, {"token": "a\r\nx: y"}, {"token": "schlüssel"}]
)
def test_what_is_no_credential(found: dict[str, str]) -> None:
    """
    Neither too few keys nor what would make another header.
    """
    with pytest.raises(AskError, match="Secret s"):
        credentials.header("s", found)
