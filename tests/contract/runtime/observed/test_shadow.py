"""
Shadow traffic between two real servers: what is compared, what is skipped, and what it costs.
"""

import json
import shutil
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from testkit.authority import Authority
from testkit.model_servers import Answer, ModelServer, free_port, running

WORD = "9a8b7c6d"
BEARER = {"Authorization": f"Bearer {WORD}"}
CONFIG = "model_config_list {{ {} }}"
ENTRY = 'config {{ name: "{name}" base_path: "{folder}/{name}" model_platform: "tensorflow" }}'
WAIT = 60.0
HALF = "half_plus_two"
FEW = {"instances": [1.0, 2.0]}


class _Shadowed:
    """
    A server with a control port that asks for a secret.
    """

    def __init__(self, server: ModelServer, control: int) -> None:
        self.server = server
        self.control = control
        self.aims = 0
        self.name = ""

    def ask(self, method: str, body: Any = None, **headers: str) -> Answer:
        """
        Send a request to the control port.
        """
        rest, self.server.rest_port = self.server.rest_port, self.control
        try:
            return self.server.request(method, "/v1/shadow", body, **(headers or BEARER))
        finally:
            self.server.rest_port = rest

    def aim(
        self, address: str, model: str = "half_plus_two", percent: float = 100, **secure: str
    ) -> None:
        """
        Set a target of a new name.
        """
        self.aims += 1
        self.name = f"target-{self.aims}"
        target = {"name": self.name, "model": model, "address": address, "percent": percent}
        answer = self.ask("PUT", {**target, "tolerance": 1e-3, **secure})
        assert answer.status == 200, answer.body
        assert answer.json["target"]["address"] == address

    def counted(self, metric: str, **labels: str) -> float:
        """
        Read one of the counts of the present target.
        """
        text = self.server.request("GET", "/monitoring/prometheus/metrics").body.decode()
        wanted = {**labels, "target": self.name}
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"modeldeploy_shadow_{metric}"
            and wanted.items() <= sample.labels.items()
        )

    def until(self, metric: str, count: float, **labels: str) -> None:
        """
        Wait for a count.
        """
        end = time.monotonic() + WAIT
        while (seen := self.counted(metric, **labels)) < count:
            assert time.monotonic() < end, f"{metric}: {seen} of {count}"


@pytest.fixture(scope="module")
def old(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Shadowed]:
    """
    Version 1 of half_plus_two, and a model with heads.
    """
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(models / "half_plus_two" / "00000001", folder / "half_plus_two" / "1")
    shutil.copytree(models / "heads", folder / "heads")
    config, secret = folder / "models.config", folder / "secret"
    entries = [ENTRY.format(name=name, folder=folder) for name in ("half_plus_two", "heads")]
    config.write_text(CONFIG.format(" ".join(entries)))
    secret.write_text(f"{WORD}\n")
    port = free_port()
    flags = [
        f"--model_config_file={config}",
        f"--control_port={port}",
        "--control_host=",
        f"--control_token_file={secret}",
    ]
    with running(folder, *flags) as server:
        server.wait_ready()
        yield _Shadowed(server, port)


@pytest.fixture(scope="module")
def equal(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    The same models on another server.
    """
    folder = tmp_path_factory.mktemp("equal")
    shutil.copytree(models / "half_plus_two" / "00000001", folder / "half_plus_two" / "1")
    shutil.copytree(models / "heads", folder / "heads")
    config = folder / "models.config"
    entries = [ENTRY.format(name=name, folder=folder) for name in ("half_plus_two", "heads")]
    config.write_text(CONFIG.format(" ".join(entries)))
    with running(folder, f"--model_config_file={config}") as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def other(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    Version 2 of half_plus_two, which answers otherwise.
    """
    folder = tmp_path_factory.mktemp("other")
    flags = ["--model_name=half_plus_two", f"--model_base_path={models}/half_plus_two"]
    with running(folder, *flags) as server:
        server.wait_ready()
        yield server


@pytest.fixture
def stub(old: _Shadowed) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    """
    The stock stub of the first server.
    """
    with grpc.insecure_channel(old.server.target) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _predict(version: int = 0) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    if version:
        request.model_spec.version.value = version
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 2
    request.inputs["x"].float_val.extend([1.0, 2.0])
    return request


def test_only_who_has_the_secret_may_use_the_control_port(old: _Shadowed) -> None:
    """
    The other ports are as before.
    """
    assert old.ask("GET", Accept="*/*").status == 401
    assert old.ask("GET", Authorization=f"Bearer {WORD}x").status == 401
    assert old.ask("GET", Authorization=WORD).status == 401
    refused = old.ask("PUT", {}, Accept="*/*")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert old.ask("GET").status == 200
    assert old.server.predict("half_plus_two", FEW).status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "no JSON"),
        ([], "JSON object"),
        ({"name": "a", "colour": "red"}, "no field 'colour'"),
        ({"name": "a"}, "needs a model"),
        ({"name": "a b", "model": "m", "address": "h:1", "percent": 1, "tolerance": 0}, "name has"),
        ({"name": "a", "model": "m", "address": "h", "percent": 1, "tolerance": 0}, "HOST:PORT"),
        ({"name": "a", "model": "m", "address": "h:1", "percent": 0, "tolerance": 0}, "above 0"),
        ({"name": "a", "model": "m", "address": "h:1", "percent": 1, "tolerance": -1}, "negative"),
        ({"name": "a", "model": "m", "address": "h:1", "percent": "1", "tolerance": 0}, "number"),
        (
            {
                "name": "a",
                "model": "m",
                "address": "h:1",
                "percent": 1,
                "tolerance": 0,
                "server_name": "s",
            },
            "root_certificates",
        ),
    ],
)
def test_a_wrong_target_is_refused(old: _Shadowed, body: Any, words: str) -> None:
    """
    In one sentence, and nothing changes.
    """
    before = old.ask("GET").json
    answer = old.ask("PUT", body)
    assert (answer.status, words in answer.error) == (400, True), answer.body
    assert old.ask("GET").json == before


def test_an_equal_version_answers_the_same(
    old: _Shadowed,
    equal: ModelServer,
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    """
    Over REST and gRPC; the target counts it as nobody's request.
    """
    old.aim(equal.target)
    for _ in range(20):
        assert old.server.predict("half_plus_two", FEW).status == 200
        assert stub.Predict(_predict()).outputs["y"].float_val == [2.5, 3.0]
    old.until("compared_total", 40)
    assert old.counted("mismatched_total") == 0
    assert old.counted("values_total") == 80
    assert old.counted("duration_seconds_count", side="here") == 40
    assert 0 < old.counted("duration_seconds_sum", side="target") < 40
    text = equal.request("GET", "/monitoring/prometheus/metrics").body.decode()
    counted = [line for line in text.splitlines() if line.startswith("modeldeploy_requests_total")]
    assert any('entrypoint="SHADOW"' in line and line.endswith(" 40") for line in counted), counted
    assert old.ask("DELETE").json == {"target": None, "last_mismatch": ""}
    assert old.server.predict("half_plus_two", FEW).status == 200
    assert old.counted("compared_total") == 40


def test_a_target_may_be_asked_over_an_encrypted_connection(
    old: _Shadowed, models: Path, tmp_path: Path
) -> None:
    """
    It is known by who signed its certificate, and for which host; another is not asked.
    """
    authority, port = Authority(tmp_path), free_port()
    flags = ["--model_name=half_plus_two", f"--model_base_path={models}/half_plus_two"]
    flags += [f"--ssl_config_file={authority.ssl_config('pods', 'mnist.vision.svc')}"]
    trusted = {"root_certificates": authority.certificate.read_text()}
    with running(tmp_path, *flags, f"--ssl_port={port}") as server:
        server.wait_ready()
        old.aim(f"127.0.0.1:{port}", HALF, 100, **trusted, server_name="mnist.vision.svc")
        assert old.server.predict("half_plus_two", FEW).status == 200
        old.until("mismatched_total", 1)
        old.aim(f"127.0.0.1:{port}", HALF, 100, **trusted, server_name="other.vision.svc")
        assert old.server.predict("half_plus_two", FEW).status == 200
        old.until("skipped_total", 1, reason="target_failed")
        assert old.counted("compared_total") == 0
    old.ask("DELETE")


def test_another_version_answers_otherwise(old: _Shadowed, other: ModelServer) -> None:
    """
    Each request is a mismatch, the differences are told, and one of them in words.
    """
    old.aim(other.target)
    for _ in range(20):
        assert old.server.predict("half_plus_two", FEW).status == 200
    old.until("mismatched_total", 20, reason="different")
    mine = old.server.predict("half_plus_two", FEW).json["predictions"]
    theirs = other.predict("half_plus_two", FEW).json["predictions"]
    difference = abs(np.array(mine) - np.array(theirs)).max()
    assert old.counted("largest_difference") == pytest.approx(difference)
    mean = old.counted("difference_total") / old.counted("values_total")
    assert mean == pytest.approx(abs(np.array(mine) - np.array(theirs)).mean())
    assert "the output y is" in old.ask("GET").json["last_mismatch"]


def test_classifications_and_regressions_are_compared(
    old: _Shadowed,
    equal: ModelServer,
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    """
    As what their responses hold; several at once are skipped.
    """
    old.aim(equal.target, "heads")
    classified, regressed = classification_pb2.ClassificationRequest(), _regression()
    for request in (classified, regressed):
        request.model_spec.name = "heads"
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(1.0)
    regressed.model_spec.signature_name = "regress"
    stub.Classify(classified)
    stub.Regress(regressed)
    old.until("compared_total", 2)
    assert old.counted("mismatched_total") == 0
    several = inference_pb2.MultiInferenceRequest(input=regressed.input)
    task = several.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.CopyFrom(regressed.model_spec)
    stub.MultiInference(several)
    old.until("skipped_total", 1, reason="unsupported")


def _regression() -> Any:
    return regression_pb2.RegressionRequest()


def test_pinned_and_large_requests_are_skipped_and_counted(
    old: _Shadowed,
    equal: ModelServer,
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    """
    Who chose a version never meets the other one; what is too large would hold up the rest.
    """
    old.aim(equal.target)
    stub.Predict(_predict(version=1))
    assert old.server.predict("half_plus_two/versions/1", FEW).status == 200
    old.until("skipped_total", 2, reason="pinned")
    large = _predict()
    large.inputs["x"].ClearField("float_val")
    large.inputs["x"].tensor_shape.dim[0].size = 2_000_000
    large.inputs["x"].tensor_content = np.zeros(2_000_000, np.float32).tobytes()
    with grpc.insecure_channel(
        old.server.target, [("grpc.max_receive_message_length", 1 << 26)]
    ) as channel:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(large)
    old.until("skipped_total", 1, reason="too_large")
    assert old.counted("compared_total") == 0


def test_requests_that_failed_are_not_asked_again(old: _Shadowed, equal: ModelServer) -> None:
    """
    There is nothing to compare with.
    """
    old.aim(equal.target)
    assert old.server.predict("half_plus_two", {"instances": ["x"]}).status == 400
    assert old.server.predict("half_plus_two", FEW).status == 200
    old.until("compared_total", 1)
    assert old.counted("compared_total") == 1


def _durations(ask: Callable[[], Answer], count: int) -> list[float]:
    durations = []
    for _ in range(count):
        began = time.perf_counter()
        assert ask().status == 200
        durations.append(time.perf_counter() - began)
    return durations


@pytest.mark.parametrize("kind", ["dead", "hanging"])
def test_a_target_that_is_away_costs_nobody_anything(old: _Shadowed, kind: str) -> None:
    """
    Nobody listens, or nobody answers: requests are answered as fast as before, the rest is counted.
    """

    def ask() -> Answer:
        return old.server.predict("half_plus_two", FEW)

    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()
        port = hanging.getsockname()[1] if kind == "hanging" else free_port()
        with_target, without = [], []
        for _ in range(5):
            old.ask("DELETE")
            without += _durations(ask, 100)
            old.aim(f"127.0.0.1:{port}")
            with_target += _durations(ask, 100)
        reason = "target_failed" if kind == "dead" else "queue_full"
        if kind == "hanging":
            _durations(ask, 300)
        old.until("skipped_total", 1, reason=reason)
        assert old.counted("compared_total") == 0
        old.ask("DELETE")
    # Whoever waited for the target would wait for seconds; the rest is what a busy machine needs.
    assert statistics.median(with_target) < 2 * statistics.median(without) + 0.005


def test_the_secret_may_be_replaced(old: _Shadowed, tmp_path: Path) -> None:
    """
    The file is read at each request, and nobody is admitted while it is empty.
    """
    file = Path(next(f for f in old.server.flags if "token_file" in f).partition("=")[2])
    try:
        file.write_text("another")
        assert old.ask("GET").status == 401
        assert old.ask("GET", Authorization="Bearer another").status == 200
        file.write_text("")
        assert old.ask("GET", Authorization="Bearer ").status == 401
    finally:
        file.write_text(WORD)
    assert old.ask("GET").status == 200
    assert json.loads(old.ask("DELETE").body)["target"] is None
