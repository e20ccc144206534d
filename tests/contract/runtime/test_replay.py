"""
Recorded requests are sent again: the logs are those that a real server wrote of itself.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import inference_pb2, prediction_service_pb2_grpc

from testkit.authority import Authority
from testkit.model_servers import ModelServer, free_port, run_command, running

REQUESTS = 30


@dataclass(frozen=True)
class Scene:
    """
    What was recorded of one version, and where the other versions answer.
    """

    log: str
    same: ModelServer
    other: ModelServer
    secure: str
    authority: Path


def _serving(models: Path, folder: Path, version: int, *flags: str) -> list[str]:
    config = folder / f"models-{version}.config"
    config.write_text(
        'model_config_list { config { name: "half" '
        f'base_path: "{models}/half_plus_two" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ versions: {version} }} }} }} "
        f'config {{ name: "heads" base_path: "{models}/heads" model_platform: "tensorflow" }} }}'
    )
    return [f"--model_config_file={config}", *flags]


def _infer_twice(server: ModelServer) -> None:
    """
    Ask for a classification and a regression of one example in one request, which REST cannot.
    """
    request = inference_pb2.MultiInferenceRequest()
    for signature, verb in (("serving_default", "classify"), ("regress", "regress")):
        task = request.tasks.add(method_name=f"tensorflow/serving/{verb}")
        task.model_spec.name, task.model_spec.signature_name = "heads", signature
    feature = request.input.example_list.examples.add().features.feature["x"]
    feature.float_list.value.append(4.0)
    with grpc.insecure_channel(server.target) as channel:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).MultiInference(request)


@pytest.fixture(scope="module")
def scene(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """
    Record version 1 over REST, end it, and serve versions 1 and 2.
    """
    folder = tmp_path_factory.mktemp("replayed")
    prefix = f"{folder}/logs/of"
    flags = (f"--request_logging_prefix={prefix}", "--request_logging_rate=1")
    with running(folder, *_serving(models, folder, 1, *flags)) as server:
        server.wait_state("half", 1, "AVAILABLE")
        server.wait_state("heads", 1, "AVAILABLE")
        for number in range(REQUESTS):
            assert server.predict("half", {"instances": [float(number)]}).status == 200
        for kind, signature in (("classify", "serving_default"), ("regress", "regress")):
            body = {"signature_name": signature, "examples": [{"x": 1.0}, {"x": 2.0}]}
            answer = server.request("POST", f"/v1/models/heads:{kind}", body)
            assert answer.status == 200, answer.body
        _infer_twice(server)
        server.terminate()
        assert server.process.wait(30) == 0
    authority, port = Authority(folder), free_port()
    file = authority.ssl_config("pods", "mnist.vision.svc")
    flags = (f"--ssl_config_file={file}", f"--ssl_port={port}")
    with (
        running(folder, *_serving(models, folder, 1, *flags)) as same,
        running(folder, *_serving(models, folder, 2)) as other,
    ):
        same.wait_state("half", 1, "AVAILABLE")
        same.wait_state("heads", 1, "AVAILABLE")
        other.wait_state("half", 2, "AVAILABLE")
        yield Scene(prefix, same, other, f"127.0.0.1:{port}", authority.certificate)


def _replay(folder: Path, uri: str, target: str, *flags: str) -> tuple[int, dict[str, Any]]:
    log = folder / "termination"
    done = run_command(
        "replay", f"--uri={uri}", f"--target={target}", f"--termination-log={log}", *flags
    )
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(log.read_text()), done.stderr
    return done.returncode, json.loads(log.read_text())


def test_the_same_version_answers_as_recorded(scene: Scene, tmp_path: Path) -> None:
    """
    Every kind of inference in a log that is named by its prefix.
    """
    status, told = _replay(tmp_path, scene.log, scene.same.target)
    assert (status, told["code"]) == (0, "Replayed")
    assert (told["compared"], told["mismatched"], told["skipped"]) == (REQUESTS + 3, 0, 0)
    assert told["largest"] == told["failed"] == 0


def test_what_was_recorded_goes_over_an_encrypted_connection(scene: Scene, tmp_path: Path) -> None:
    """
    The server is known by who signed its certificate, and for which host; another is not asked.
    """
    trusted = f"--root_certificates_file={scene.authority}"
    status, told = _replay(
        tmp_path, scene.log, scene.secure, trusted, "--server_name=mnist.vision.svc"
    )
    assert (status, told["compared"], told["mismatched"]) == (0, REQUESTS + 3, 0)
    wrong = ("--server_name=other.vision.svc", "--connect_timeout=1s")
    status, told = _replay(tmp_path, scene.log, scene.secure, trusted, *wrong)
    assert (status, told["code"]) == (1, "TargetUnreachable")


def test_another_version_is_told_apart(scene: Scene, tmp_path: Path) -> None:
    """
    Every answer differs by as much as the models do; the records of another model are skipped.
    """
    status, told = _replay(tmp_path, scene.log, scene.other.target, "--model=half")
    assert (status, told["code"]) == (0, "Replayed")
    assert (told["compared"], told["mismatched"], told["skipped"]) == (REQUESTS, REQUESTS, 3)
    assert told["largest"] == told["mean"] > 0
    assert told["message"].startswith(f"{REQUESTS} of {REQUESTS} recorded requests were answered")
    assert "instead of" in told["message"]


def test_a_tolerance_forgives(scene: Scene, tmp_path: Path) -> None:
    """
    What differs by less than the tolerance is the same; the newest file of a folder comes first.
    """
    folder = str(Path(scene.log).parent)
    flags = ("--model=half", "--tolerance=2", "--max_requests=5")
    _, told = _replay(tmp_path, folder, scene.other.target, *flags)
    assert (told["compared"], told["mismatched"]) == (5, 0)


def test_an_answer_that_is_an_error_differs(scene: Scene, tmp_path: Path) -> None:
    """
    A server that does not know the model refuses what the recorded one answered.
    """
    with running(tmp_path, f"--model_base_path={_models(scene)}", "--model_name=else") as server:
        server.wait_state("else", 1, "AVAILABLE")
        _, told = _replay(tmp_path, scene.log, server.target)
    assert told["failed"] == told["mismatched"] == REQUESTS + 3
    assert "the answer is the error NOT_FOUND" in told["message"]


def _models(scene: Scene) -> str:
    (config,) = [flag for flag in scene.same.flags if "model_config" in flag]
    text = Path(config.partition("=")[2]).read_text()
    return text.split('base_path: "')[2].split('"')[0]


def test_a_server_that_is_away_was_not_measured(scene: Scene, tmp_path: Path) -> None:
    """
    That is told apart from wrong answers, and may be tried again.
    """
    target = f"127.0.0.1:{free_port()}"
    status, told = _replay(tmp_path, scene.log, target, "--connect_timeout=300ms")
    assert (status, told["code"], told["compared"]) == (1, "TargetUnreachable", 0)


@pytest.mark.parametrize(
    ("uri", "status", "code"),
    [
        ("/nowhere/at/all", 2, "VersionNotFound"),
        ("ftp://", 2, "InvalidURI"),
        ("{folder}/empty.tfrecord", 0, "NoRecords"),
        ("{folder}/torn.tfrecord", 0, "NoRecords"),
    ],
)
def test_a_log_that_says_nothing_was_not_measured(
    scene: Scene, tmp_path: Path, uri: str, status: int, code: str
) -> None:
    """
    No log, or one without a request that can be sent: neither good nor bad.
    """
    (tmp_path / "empty.tfrecord").touch()
    (tmp_path / "torn.tfrecord").write_bytes(b"torn")
    found, told = _replay(tmp_path, uri.format(folder=tmp_path), scene.same.target)
    assert (found, told["code"], told["compared"]) == (status, code, 0)


def test_it_needs_no_tensorflow(scene: Scene) -> None:
    """
    The program that replays starts fast, as it loads no model.
    """
    program = (
        "import sys; from modeldeploy_runtime.app import run; "
        f"run(['replay', '--uri={scene.log}', '--target={scene.same.target}']); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
