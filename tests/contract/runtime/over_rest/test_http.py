"""
REST around its messages: pins, other origins, compression, the list of models, time and threads.
"""

import gzip
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from testkit.model_servers import ModelServer, running

HALF = "/v1/models/half_plus_two"
PREDICT = f"{HALF}:predict"
ONE = {"instances": [1.0]}


@pytest.fixture(scope="module")
def tuned(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server with the flags about REST: one thread, a short patience, and other origins welcome.
    """
    folder = tmp_path_factory.mktemp("tuned")
    config = folder / "models.config"
    listed = "".join(
        f'config {{ name: "{name}" base_path: "{models}/{path}" model_platform: "tensorflow" }}\n'
        for name, path in (("team/half two", "half_plus_two"), ("slow", "slow"), ("x", "none"))
    )
    config.write_text(f"model_config_list {{ {listed} }}")
    flags = (
        "--rest_api_enable_cors_support",
        "--rest_api_num_threads=1",
        "--rest_api_timeout_in_ms=500",
        "--rest_api_gzip_min_bytes=0",
    )
    with running(folder, f"--model_config_file={config}", *flags) as server:
        server.wait_state("team%2Fhalf%20two", 2, "AVAILABLE")
        server.wait_state("slow", 1, "AVAILABLE")
        yield server


@pytest.mark.requirement("row-5")
@pytest.mark.parametrize(
    ("path", "headers", "version"),
    [
        (PREDICT, {"x-model-version": "1"}, "1"),
        (PREDICT, {"X-Model-Label": "stable"}, "1"),
        (PREDICT, {"X-Model-Label": "own", "x-modeldeploy-pin": "1 own"}, "1"),
        (f"{HALF}/versions/1:predict", {"x-model-version": "1"}, "1"),
    ],
)
def test_pins(server: ModelServer, path: str, headers: Any, version: str) -> None:
    """
    A header chooses a version where the path does not.
    """
    answer = server.request("POST", path, ONE, **headers)
    assert (answer.status, answer.headers["x-model-version"]) == (200, version)
    assert answer.json == {"predictions": [2.5]}


@pytest.mark.parametrize(
    ("path", "headers", "status", "message"),
    [
        (
            f"{HALF}/versions/2:predict",
            {"x-model-version": "1"},
            400,
            "The request asks for version 2 and for version 1; it may ask for one only.",
        ),
        (
            PREDICT,
            {"x-model-version": "9"},
            404,
            "Servable not found for request: Specific(half_plus_two, 9)",
        ),
        (
            PREDICT,
            {"x-model-label": "L"},
            400,
            "Unrecognized servable version label: L",
        ),
    ],
)
def test_bad_pins(server: ModelServer, path: str, headers: Any, status: int, message: str) -> None:
    """
    A pin is never answered by another version.
    """
    answer = server.request("POST", path, ONE, **headers)
    assert (answer.status, answer.error) == (status, message)


def test_pinned_metadata_and_status(server: ModelServer) -> None:
    """
    Signatures and states are those of the pinned version.
    """
    answer = server.request("GET", f"{HALF}/metadata", **{"x-model-version": "1"})
    assert answer.json["model_spec"]["version"] == "1"
    answer = server.request("GET", HALF, **{"x-model-version": "1"})
    assert [found["version"] for found in answer.json["model_version_status"]] == ["1"]


def test_errors_name_the_version(server: ModelServer) -> None:
    """
    Who gets an error of a version is told which one, too.
    """
    answer = server.request("POST", PREDICT, {})
    assert (answer.status, answer.headers["x-model-version"]) == (400, "2")


def _listed(server: ModelServer) -> dict[str, Any]:
    return {model["name"]: model for model in server.get("/v1/models").json["models"]}


@pytest.mark.requirement("row-7")
def test_list_of_models(server: ModelServer) -> None:
    """
    All models are listed with their versions, states, times and labels, the empty ones as well.
    """
    models = _listed(server)
    assert list(models) == sorted(models)
    half = models["half_plus_two"]
    assert half["labels"] == {"gone": "7", "stable": "1"}
    newest, oldest = half["versions"]
    assert (newest["version"], newest["state"], newest["labels"]) == ("2", "AVAILABLE", [])
    assert (oldest["version"], oldest["labels"]) == ("1", ["stable"])
    assert datetime.fromisoformat(newest["created"]) <= datetime.fromisoformat(newest["since"])
    assert newest["status"] == {"error_code": "OK", "error_message": ""}
    assert models["broken"]["versions"][0]["state"] == "END"
    assert "saved_model.pb" in models["broken"]["versions"][0]["status"]["error_message"]
    assert models["incomplete"]["versions"] == []


@pytest.mark.requirement("row-7")
def test_full_view(server: ModelServer) -> None:
    """
    One model, or one version, is described as in the list when the query asks for it.
    """
    listed = _listed(server)["half_plus_two"]
    assert server.get(f"{HALF}?view=full").json == listed
    answer = server.get(f"{HALF}/versions/1?view=full")
    assert answer.json == {**listed, "versions": listed["versions"][1:]}
    assert server.get("/v1/models/none?view=full").status == 404


def test_names_are_decoded(tuned: ModelServer) -> None:
    """
    A name with a slash and a space is reached by its percent-encoding.
    """
    answer = tuned.predict("team%2Fhalf%20two", ONE)
    assert answer.json == {"predictions": [3.5]}
    assert tuned.predict("team/half%20two", ONE).status == 400


def test_other_case(server: ModelServer) -> None:
    """
    Everything but names and verbs of POST may be in capitals.
    """
    assert server.get("/V1/MODELS/half_plus_two/VERSIONS/1/METADATA").json["metadata"]
    assert server.get("/V1/MODELS").status == 200
    assert (
        server.request("POST", "/v1/Models/half_plus_two/Labels/stable:predict", ONE).status == 200
    )
    assert server.get("/v1/models/Half_plus_two").status == 404


CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}


def _cors(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control")}


def test_other_origins(tuned: ModelServer, server: ModelServer) -> None:
    """
    With the flag every answer below /v1/ lets pages of other origins read it, errors included.
    """
    for path in ("/v1/models/slow", "/v1/models/none", "/v1/models/x:none"):
        assert _cors(tuned.get(path).headers) == CORS
    assert _cors(tuned.get("/healthz").headers) == {}
    assert _cors(server.get(HALF).headers) == {}


@pytest.mark.parametrize("path", [HALF, PREDICT, "/v1/anything"])
def test_preflight(tuned: ModelServer, server: ModelServer, path: str) -> None:
    """
    A preflight request is answered with or without the flag, which only adds the headers.
    """
    for asked, expected in ((tuned, CORS), (server, {})):
        answer = asked.request("OPTIONS", path, Origin="https://page.example")
        assert (answer.status, answer.body, _cors(answer.headers)) == (200, b"", expected)
    answer = tuned.request("OPTIONS", path, Origin="null")
    assert answer.status == 400
    assert answer.error == "Origin header is missing in CORS preflight"


@pytest.mark.parametrize("accepted", ["gzip", "deflate, gzip;q=0.5", "*", "br, GZIP"])
def test_compressed_answers(server: ModelServer, accepted: str) -> None:
    """
    A large answer is compressed for who accepts that.
    """
    body = {"instances": [1.0] * 5000}
    answer = server.request("POST", PREDICT, body, **{"accept-encoding": accepted})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "accept-encoding"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert gzip.decompress(answer.body) == server.request("POST", PREDICT, body).body


@pytest.mark.parametrize(
    "accepted", ["identity", "gzip;q=0", "gzip;q=0.0, *", "deflate", "gzipped"]
)
def test_uncompressed_answers(server: ModelServer, accepted: str) -> None:
    """
    Nobody gets gzip who does not accept it.
    """
    body = {"instances": [1.0] * 5000}
    answer = server.request("POST", PREDICT, body, **{"accept-encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert len(answer.json["predictions"]) == 5000


def test_when_compression_pays(server: ModelServer, tuned: ModelServer) -> None:
    """
    Small answers are left alone, and a flag leaves all alone.
    """
    answer = server.request("POST", PREDICT, ONE, **{"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    path = "/v1/models/team%2Fhalf%20two:predict"
    body = {"instances": [1.0] * 5000}
    answer = tuned.request("POST", path, body, **{"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_patience_and_threads(tuned: ModelServer) -> None:
    """
    With one thread the second of two long requests waits in vain; it gets 504 and is not computed.
    """
    long = {"inputs": [1_500_000]}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: tuned.predict("slow", long), range(2)))
    assert {(answer.status, answer.error) for answer in answers} == {
        (504, "Timed out waiting for notification")
    }

    def is_free() -> bool:
        return tuned.predict("slow", {"inputs": [1]}).status == 200

    tuned.wait(is_free, "a free thread")
    text = tuned.get("/monitoring/prometheus/metrics").body.decode()
    (late,) = re.findall(
        r"modeldeploy_requests_total\{[^}]*DEADLINE_EXCEEDED[^}]*slow[^}]*\} (\d+)", text
    )
    assert int(late) >= 2
