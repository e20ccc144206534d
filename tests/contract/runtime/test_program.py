"""
The program itself: its flags, its limits, and how it ends.
"""

import http.client
import socket
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from testkit.model_servers import ModelServer, run_command, running

HALF = "half_plus_two"


def _serve(models: Path, name: str, *more: str) -> list[str]:
    return [f"--model_name={name}", f"--model_base_path={models}/{name}", *more]


def test_version() -> None:
    """
    ``--version`` prints the version and ends well.
    """
    result = run_command("--version")
    assert (result.returncode, result.stdout) == (0, "modeldeploy-server 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--modle_name=a"], "unknown argument: --modle_name is not a flag of this server."),
        (["model"], '"model" is not a flag; flags look like --port=8500.'),
        (["--port=many"], '--port must be a whole number, not "many".'),
        (["--port"], "--port needs a value."),
        (["--drain_delay=soon"], '--drain_delay must be a time such as 30s, not "soon".'),
        (["--port=1"], "Either --model_base_path or --model_config_file must be set."),
        (["--model_base_path=/m", "--port=8501"], "--port and --rest_api_port must differ."),
        (["--model_base_path=models"], "to have an absolute path or URI; got base_path()=models"),
        (["--model_config_file=/nowhere"], "No such file or directory: '/nowhere'"),
    ],
)
def test_wrong_flags(arguments: list[str], sentence: str) -> None:
    """
    A wrong command line ends the program with one sentence.
    """
    result = run_command(*arguments)
    assert result.returncode == 255
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("what is this", "Error parsing text-format tensorflow.serving.ModelServerConfig"),
        (
            'model_config_list { config { name: "a" base_path: "/a" } }',
            "Illegal setting neither ModelServerConfig::model_type",
        ),
        (
            'model_config_list { config { name: "a" base_path: "/a" model_platform: "tf" } }',
            "Model a requests unsupported platform tf",
        ),
        (
            (
                'model_config_list { config { name: "a" base_path: "/a" model_platform: '
                '"tensorflow" } config { name: "a" base_path: "/b" model_platform: "tensorflow" } }'
            ),
            "Illegal to list model a multiple times in config list",
        ),
    ],
)
def test_wrong_configuration(tmp_path: Path, text: str, sentence: str) -> None:
    """
    A wrong configuration file ends the program with TensorFlow Serving's sentence.
    """
    path = tmp_path / "models.config"
    path.write_text(text)
    result = run_command(f"--model_config_file={path}")
    assert result.returncode == 255
    assert sentence in result.stderr


def test_taken_port(models: Path, tmp_path: Path) -> None:
    """
    A port that is taken ends the program with a sentence.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = _serve(models, HALF, "--port=0", f"--rest_api_port={port}")
        result = run_command(*arguments)
    assert result.returncode == 1
    assert "The server cannot run: " in result.stderr
    assert "Traceback" not in result.stderr


def test_ports_open_at_once(models: Path, tmp_path: Path) -> None:
    """
    The server answers while its model is still being loaded, and says that it is not ready.
    """
    with running(tmp_path, *_serve(models, HALF)) as server:
        server.wait(lambda: server.get("/healthz").status == 200, "the port", 10.0)
        answer = server.get("/readyz")
        assert (answer.status, answer.json["ready"]) == (503, False)
        server.wait_ready()


@pytest.mark.long
def test_body_limit(models: Path, tmp_path: Path) -> None:
    """
    A body above the limit is refused with 413, whether or not its size was announced.
    """
    flags = _serve(models, HALF, "--rest_api_max_body_bytes=100")
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        assert server.predict(HALF, {"instances": [1.0]}).status == 200
        answer = server.predict(HALF, b" " * 101)
        sentence = "The body is larger than 100 bytes, which is all this server takes."
        assert (answer.status, answer.error) == (413, sentence)
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
        path = f"/v1/models/{HALF}:predict"
        connection.request("POST", path, iter([b" " * 60, b" " * 60]), encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()


def _endless() -> dict[str, list[int]]:
    """
    Make a request that takes far longer than any test.
    """
    return {"instances": [2_000_000_000]}


@pytest.mark.long
def test_timeout(models: Path, tmp_path: Path) -> None:
    """
    A prediction that takes longer than the timeout gets 504, and the server lives on.
    """
    flags = _serve(models, "slow", "--rest_api_timeout_in_ms=500", "--drain_timeout=0")
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        answer = server.predict("slow", _endless())
        assert (answer.status, answer.error) == (504, "Timed out waiting for notification")
        assert server.predict("slow", {"instances": [1]}).status == 200


def test_drain(models: Path, tmp_path: Path) -> None:
    """
    After SIGTERM the server is not ready, goes on serving for the delay, finishes and ends with 0.
    """
    flags = _serve(models, HALF, "--drain_delay=1500ms", "--log_format=json")
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        kept = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        server.terminate()
        server.wait(lambda: server.get("/readyz").status == 503, "no readiness")
        assert server.get("/readyz").json["reasons"] == {"server": "The server is shutting down."}
        assert server.predict(HALF, {"instances": [1.0]}).headers["connection"] == "close"
        kept.request("GET", "/healthz")
        assert kept.getresponse().headers["connection"] == "close"
        kept.close()
        assert server.process.wait(10) == 0
        assert '"message": "The server has stopped."' in server.log


def _measure(server: ModelServer, seconds: float) -> int:
    count = 20_000
    server.predict("slow", {"instances": [count]})
    started = time.monotonic()
    server.predict("slow", {"instances": [count]})
    return int(count * seconds / (time.monotonic() - started))


@pytest.mark.long
def test_requests_in_flight_are_finished(models: Path, tmp_path: Path) -> None:
    """
    Requests that run when SIGTERM comes are answered, over REST and over gRPC.
    """
    with running(tmp_path, *_serve(models, "slow")) as server:
        server.wait_ready()
        count = _measure(server, 2.0)
        answers: list[Any] = []
        asking = [
            threading.Thread(
                target=lambda: answers.append(server.predict("slow", {"instances": [count]}).status)
            ),
            threading.Thread(target=lambda: answers.append(_grpc_slow(server, count))),
        ]
        for thread in asking:
            thread.start()
        time.sleep(0.5)
        server.terminate()
        for thread in asking:
            thread.join(60)
        assert answers.count(200) == 2
        assert server.process.wait(10) == 0
        assert "were cut" not in server.log


def _grpc_slow(server: ModelServer, count: int) -> int:
    with grpc.insecure_channel(server.target) as channel:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "slow"
        request.inputs["n"].CopyFrom(tf.make_tensor_proto([count], dtype=tf.int32))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        stub.Predict(request, timeout=60)
        return 200


@pytest.mark.long
def test_what_takes_too_long_is_cut(models: Path, tmp_path: Path) -> None:
    """
    A request that outlasts the drain is cut, and the log says so; the server still ends with 0.
    """
    flags = _serve(models, "slow", "--drain_timeout=1s")
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(server.predict("slow", _endless())))
        asking.start()
        time.sleep(0.5)
        server.terminate()
        assert server.process.wait(15) == 0
        asking.join(10)
        assert "1 requests were cut" in server.log
        sentence = "The server has shut down before it could answer."
        assert [(answer.status, answer.error) for answer in answers] == [(503, sentence)]


def test_second_signal_hurries(models: Path, tmp_path: Path) -> None:
    """
    Who sends SIGTERM twice does not want to wait.
    """
    with running(tmp_path, *_serve(models, HALF, "--drain_delay=1m")) as server:
        server.wait_ready()
        server.terminate()
        server.wait(lambda: "shutting down" in server.log, "the first signal")
        server.terminate()
        assert server.process.wait(10) == 0


def test_signal_before_the_model_is_there(models: Path, tmp_path: Path) -> None:
    """
    SIGTERM during the start ends the program at once.
    """
    with running(tmp_path, *_serve(models, HALF)) as server:
        server.wait(lambda: server.get("/healthz").status == 200, "the port", 10.0)
        server.terminate()
        assert server.process.wait(10) == 0
