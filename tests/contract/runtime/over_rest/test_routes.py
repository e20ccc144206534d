"""
Everything over REST that is no prediction: status, metadata, health, metrics, and wrong paths.
"""

import http.client
import json
from typing import Any

import pytest

from testkit.model_servers import ModelServer

HALF = "/v1/models/half_plus_two"


def _version(number: str, state: str, code: str = "OK", message: str = "") -> dict[str, Any]:
    status = {"error_code": code, "error_message": message}
    return {"version": number, "state": state, "status": status}


@pytest.mark.parametrize(
    "path",
    [
        HALF,
        f"{HALF}/labels/stable",
        f"{HALF}/labels/none?a=b",
        f"{HALF}?view=%ff",
        f"{HALF}?%c3=&=",
    ],
)
def test_status_of_all_versions(server: ModelServer, path: str) -> None:
    """
    The versions of a model are listed, the newest first; a label does not narrow them.
    """
    answer = server.get(path)
    expected = [_version("2", "AVAILABLE"), _version("1", "AVAILABLE")]
    assert (answer.status, answer.json) == (200, {"model_version_status": expected})


@pytest.mark.requirement("row-7")
def test_status_of_one_version(server: ModelServer) -> None:
    """
    One version is described alone.
    """
    expected = {"model_version_status": [_version("1", "AVAILABLE")]}
    assert server.get(f"{HALF}/versions/1").json == expected


@pytest.mark.requirement("row-7")
def test_status_of_a_failed_load(server: ModelServer) -> None:
    """
    A version that could not be loaded is at its end, with the loader's words, and is no 404.
    """
    answer = server.get("/v1/models/broken/versions/1")
    (found,) = answer.json["model_version_status"]
    assert (answer.status, found["version"], found["state"]) == (200, "1", "END")
    assert found["status"]["error_code"] == "UNKNOWN"
    assert "saved_model.pb" in found["status"]["error_message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/models/none", 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/incomplete", 404, "Could not find any versions of model incomplete"),
        (
            "GET",
            f"{HALF}/versions/9",
            404,
            "Could not find version 9 of model half_plus_two",
        ),
        ("GET", "/v1/models/none/metadata", 404, "Servable not found for request: Latest(none)"),
        (
            "GET",
            f"{HALF}/versions/9/metadata",
            404,
            "Servable not found for request: Specific(half_plus_two, 9)",
        ),
        (
            "GET",
            f"{HALF}/labels/none/metadata",
            400,
            "Unrecognized servable version label: none",
        ),
        (
            "GET",
            f"{HALF}/versions/9223372036854775808",
            400,
            "Failed to convert version: 9223372036854775808 to numeric.",
        ),
        ("GET", "/v1/models/%ff", 400, "Failed to decode model name:%ff"),
        ("GET", f"{HALF}/", 400, f"Malformed request: GET {HALF}/"),
        ("GET", f"{HALF}/version/1", 400, f"Malformed request: GET {HALF}/version/1"),
        ("POST", f"{HALF}:guess", 400, f"Malformed request: POST {HALF}:guess"),
        ("POST", f"{HALF}:PREDICT", 400, f"Malformed request: POST {HALF}:PREDICT"),
        (
            "GET",
            f"{HALF}/versions/1/labels/stable",
            400,
            f"Malformed request: GET {HALF}/versions/1/labels/stable",
        ),
        ("GET", f"{HALF}:predict", 405, f"GET is not possible at {HALF}:predict."),
        ("POST", HALF, 405, f"POST is not possible at {HALF}."),
        ("DELETE", f"{HALF}/metadata", 405, f"DELETE is not possible at {HALF}/metadata."),
        ("POST", "/readyz", 405, "POST is not possible at /readyz."),
        ("POST", "/", 405, "POST is not possible at /."),
        ("GET", "/v1", 404, "There is nothing at /v1."),
        ("GET", "/v2/models", 404, "There is nothing at /v2/models."),
        ("POST", "/v1/models", 405, "POST is not possible at /v1/models."),
        ("GET", "/v1/models/", 400, "Malformed request: GET /v1/models/"),
        ("POST", "/v1/models:predict", 400, "Malformed request: POST /v1/models:predict"),
        ("POST", f"{HALF}/label/x:predict", 400, f"Malformed request: POST {HALF}/label/x:predict"),
        ("PATCH", f"{HALF}:predict", 405, f"PATCH is not possible at {HALF}:predict."),
        (
            "POST",
            f"{HALF}/versions/9223372036854775808:predict",
            400,
            "Failed to convert version: 9223372036854775808 to numeric.",
        ),
        ("OPTIONS", "/", 405, "OPTIONS is not possible at /."),
        ("OPTIONS", HALF, 400, "Origin header is missing in CORS preflight"),
    ],
)
def test_errors(server: ModelServer, method: str, path: str, status: int, message: str) -> None:
    """
    Each wrong path gets its status and its sentence, as JSON.
    """
    answer = server.request(method, path)
    assert (answer.error, answer.status) == (message, status)
    assert answer.headers["content-type"] == "application/json"


def test_allowed_methods_are_named(server: ModelServer) -> None:
    """
    Who uses a wrong method is told the right ones.
    """
    assert server.request("PUT", f"{HALF}:predict", b"").headers["allow"] == "POST"
    assert server.request("PUT", HALF, b"").headers["allow"] == "GET, HEAD"


def test_paths_are_read_with_care(server: ModelServer) -> None:
    """
    Case does not matter outside the names, names may be percent-encoded, queries are tolerated.
    """
    assert server.get("/V1/Models/half_plus_two").status == 200
    assert server.get("/v1/models/half%5Fplus_two?view=full").status == 200
    answer = server.request("POST", f"{HALF}:predict?a=b", {"instances": [1.0]})
    assert answer.json == {"predictions": [3.5]}


def test_metadata(server: ModelServer) -> None:
    """
    The signatures of a version are described as protobuf writes them in JSON.
    """
    answer = server.get(f"{HALF}/labels/stable/metadata")
    assert answer.headers["x-model-version"] == "1"
    assert answer.json["model_spec"] == {
        "name": "half_plus_two",
        "signature_name": "",
        "version": "1",
    }
    signature = answer.json["metadata"]["signature_def"]["signature_def"]["serving_default"]
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signature["inputs"] == {
        "x": {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "serving_default_x:0"}
    }
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["defaults"] == {}


def test_readiness_names_what_is_missing(server: ModelServer) -> None:
    """
    A server is not ready while a configured model has no available version, and says why.
    """
    answer = server.get("/readyz")
    reasons = answer.json["reasons"]
    assert (answer.status, answer.json["ready"]) == (503, False)
    assert sorted(reasons) == ["broken", "incomplete"]
    assert reasons["broken"].startswith("Version 1 is in state END: ")
    assert reasons["incomplete"] == (
        "Version 1 is not complete: The shards of its variables are missing."
    )


def test_health(server: ModelServer) -> None:
    """
    The process is healthy even when a model is not.
    """
    assert (server.get("/healthz").status, server.get("/healthz").json) == (200, {"healthy": True})


def test_head(server: ModelServer) -> None:
    """
    HEAD gives the headers of GET and no body.
    """
    answer = server.request("HEAD", "/healthz")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "16")


@pytest.mark.requirement("row-16")
def test_metrics(server: ModelServer) -> None:
    """
    Requests, their latencies and the states of models are exposed to Prometheus.
    """
    server.predict("half_plus_two/versions/1", {"instances": [1.0]})
    server.predict("invented-by-a-client", {"instances": [1.0]})
    answer = server.get("/monitoring/prometheus/metrics")
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/plain")
    labels = 'api="predict",code="OK",entrypoint="REST",model="half_plus_two"'
    assert f'modeldeploy_requests_total{{{labels},signature="serving_default",version="1"}}' in text
    assert 'code="NOT_FOUND",entrypoint="REST",model="_unknown"' in text
    assert "invented-by-a-client" not in text
    assert 'modeldeploy_model_state{model="broken",state="END",version="1"} 1' in text
    assert "modeldeploy_request_duration_seconds_bucket{" in text
    assert "_created" not in text


def test_keep_alive(server: ModelServer) -> None:
    """
    Many requests, wrong ones among them, go over one connection.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    try:
        for body, status in ((b'{"instances": [1.0]}', 200), (b"{", 400)) * 10:
            connection.request("POST", f"{HALF}:predict", body)
            response = connection.getresponse()
            assert response.status == status
            json.loads(response.read())
    finally:
        connection.close()
