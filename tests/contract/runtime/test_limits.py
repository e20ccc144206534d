"""
What the server does not bear: each limit has its status, its sentence and its flag.
"""

import contextlib
import gzip
import http.client
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from testkit.model_servers import ModelServer, running
from testkit.raw_http import RawConnection, connected, post

HALF = "half_plus_two"
PATH = f"/v1/models/{HALF}:predict"
BODY = b'{"instances": [1.0]}'
FLAGS = (
    "--rest_api_max_body_bytes=100000",
    "--rest_api_max_decompressed_bytes=200000",
    "--rest_api_max_buffered_bytes=150000",
    "--rest_api_max_request_line_bytes=2000",
    "--rest_api_max_headers_bytes=5000",
    "--rest_api_max_connections=20",
    "--rest_api_headers_timeout=1s",
    "--rest_api_body_timeout=1s",
    "--rest_api_keep_alive_timeout=2s",
    "--rest_api_num_threads=1",
    "--grpc_max_threads=1",
    "--grpc_max_receive_message_bytes=100000",
    "--grpc_message_timeout=1s",
    "--max_waiting_requests=2",
)


@pytest.fixture(scope="module")
def small(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server with a cheap and a slow model, which bears very little.
    """
    folder = tmp_path_factory.mktemp("small")
    config = folder / "models.config"
    names = "".join(
        f'config {{ name: "{name}" base_path: "{models}/{name}" model_platform: "tensorflow" }} '
        for name in (HALF, "slow")
    )
    config.write_text(f"model_config_list {{ {names} }}")
    with running(folder, f"--model_config_file={config}", *FLAGS) as server:
        server.wait_ready()
        yield server


def _ask(server: ModelServer, request: bytes) -> tuple[int, str]:
    """
    Send a request, and return how it was refused, once the connection is closed.
    """
    with connected(server.rest_port) as client:
        client.send(request)
        status, body = client.receive()
        assert client.is_closed()
        return status, json.loads(body)["error"] if status else ""


def test_body_that_is_too_large(small: ModelServer) -> None:
    """
    A body above the limit gets 413, announced or not, and is read no further.
    """
    refusal = (413, "The body is larger than 100000 bytes, which is all this server takes.")
    assert _ask(small, post(PATH, b" " * 100_001)) == refusal
    head = f"POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert (
        _ask(small, head + b"ffff\r\n" + b" " * 0xFFFF + b"\r\nffff\r\n" + b" " * 0xFFFF) == refusal
    )


@pytest.mark.parametrize("make", [gzip.compress, zlib.compress])
def test_body_that_is_too_large_when_decompressed(small: ModelServer, make: Any) -> None:
    """
    A small body that would become a large one gets 413, before it is made.
    """
    bomb = make(b" " * 50_000_000)
    assert len(bomb) < 100_000
    answer = small.request("POST", PATH, bomb, **{"Content-Encoding": "gzip"})
    sentence = (
        "The body is larger than 200000 bytes when it is decompressed, which is all this server "
        "takes."
    )
    assert (answer.status, answer.error) == (413, sentence)


def test_compressed_bodies(small: ModelServer) -> None:
    """
    Compressed bodies are read; what is wrong about them counts as an empty body.
    """
    headers = {"Content-Encoding": "gzip"}
    good = gzip.compress(BODY)
    assert small.request("POST", PATH, good, **headers).status == 200
    two = gzip.compress(BODY[:7]) + gzip.compress(BODY[7:])
    assert small.request("POST", PATH, two, **headers).status == 200
    for wrong in (BODY, good[:-9], good + b"x", b""):
        answer = small.request("POST", PATH, wrong, **headers)
        assert (answer.status, answer.error) == (400, "JSON Parse error: The document is empty")


def test_all_bodies_together(small: ModelServer) -> None:
    """
    Bodies that wait to be complete share one bound; what goes beyond it gets 429, and no other.
    """
    with connected(small.rest_port) as first, connected(small.rest_port) as second:
        request = post(PATH, b'{"instances": [' + b" " * 90_000 + b"1.0]}")
        first.send(request[:-1])
        second.send(request[:-1])
        status, body = second.receive()
        sentence = (
            "The bodies of all requests together are larger than 150000 bytes, which is all this "
            "server holds at once; try again soon."
        )
        assert (status, json.loads(body)) == (429, {"error": sentence})
        first.send(request[-1:])
        assert first.receive()[0] == 200
    assert small.predict(HALF, BODY).status == 200


def test_path_that_is_too_long(small: ModelServer) -> None:
    """
    A path above the limit gets 414.
    """
    request = f"GET /{'a' * 2000} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    sentence = "The request's path is longer than 2000 bytes, which is all this server takes."
    assert _ask(small, request) == (414, sentence)


@pytest.mark.parametrize(
    "headers",
    [
        b"X-A: " + b"a" * 5000 + b"\r\n",
        b"X-A: 1\r\n" * 1000,
        b"X-" + b"a" * 5000 + b": 1\r\n",
        b"X-A: " + b"a" * 300_000,
    ],
)
def test_headers_that_are_too_long(small: ModelServer, headers: bytes) -> None:
    """
    Headers above the limit get 431: one or many, complete or without an end.
    """
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n"
    sentence = "The headers are longer than 5000 bytes, which is all this server takes."
    assert _ask(small, request) == (431, sentence)


def test_slow_headers(small: ModelServer) -> None:
    """
    Headers that trickle get 408, however often another byte comes.
    """
    with connected(small.rest_port) as client:
        client.send(b"GET /healthz HTTP/1.1\r\nX-A: ")
        client.socket.settimeout(0.2)
        for _ in range(50):
            client.send(b"a")
            try:
                status, body = client.receive()
                break
            except TimeoutError:
                continue
        sentence = "The request's headers were not complete after 1 seconds."
        assert (status, json.loads(body)) == (408, {"error": sentence})


def test_slow_body(small: ModelServer) -> None:
    """
    A body that stops gets 408.
    """
    sentence = (
        "The request's body came too slowly: after 1 seconds this server expects 1024 bytes a "
        "second."
    )
    assert _ask(small, post(PATH, BODY)[:-1]) == (408, sentence)


def test_idle_connection(small: ModelServer) -> None:
    """
    A connection on which nothing is asked is closed without a word.
    """
    with connected(small.rest_port) as fresh, connected(small.rest_port) as used:
        used.send(post(PATH, BODY))
        assert used.receive()[0] == 200
        assert fresh.is_closed()
        assert used.is_closed()


def test_too_many_connections(small: ModelServer) -> None:
    """
    A connection beyond the limit gets 503, and a place again when another one has gone.
    """
    sentence = "All 20 connections of this server are in use; try again soon."
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(small.rest_port)) for _ in range(20)]
        for client in clients:
            client.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.receive()[0] == 200
        assert _ask(small, b"") == (503, sentence)
    small.wait(lambda: small.get("/healthz").status == 200, "a free connection", 5.0)


def _slow(seconds: float, server: ModelServer) -> bytes:
    started = time.monotonic()
    assert server.predict("slow", {"instances": [50_000]}).status == 200
    count = int(50_000 * seconds / (time.monotonic() - started))
    return json.dumps({"instances": [count]}).encode()


def test_too_many_predictions_over_rest(small: ModelServer) -> None:
    """
    One prediction is computed and two wait; more get 429 at once, and readiness stays.
    """
    body = _slow(1.0, small)
    answers: list[Any] = []
    asking = [
        threading.Thread(target=lambda: answers.append(small.predict("slow", body)))
        for _ in range(6)
    ]
    for thread in asking:
        thread.start()
    small.wait(lambda: len(answers) == 3, "refusals", 0.8)
    assert small.get("/readyz").status == 200
    for thread in asking:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 429, 429, 429]
    sentence = "All 3 places for predictions are taken; try again soon."
    refused = [answer for answer in answers if answer.status == 429]
    assert {(answer.error, answer.headers["retry-after"]) for answer in refused} == {
        (sentence, "1")
    }


def _request(model: str, alias: str, value: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_too_many_predictions_over_grpc(small: ModelServer) -> None:
    """
    The same over gRPC gives RESOURCE_EXHAUSTED.
    """
    count = json.loads(_slow(1.0, small))["instances"][0]
    request = _request("slow", "n", np.array([count], np.int32))
    with grpc.insecure_channel(small.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [stub.Predict.future(request, timeout=30) for _ in range(6)]
        codes = [call.code() for call in calls]
        assert codes.count(grpc.StatusCode.OK) == 3
        refused = [call for call in calls if call.code() is not grpc.StatusCode.OK]
        assert {(call.code(), call.details()) for call in refused} == {
            (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "All 3 places for gRPC requests are taken; try again soon.",
            )
        }


def test_message_that_is_too_large(small: ModelServer) -> None:
    """
    A gRPC message above the limit is not read.
    """
    with grpc.insecure_channel(small.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(_request(HALF, "x", np.zeros(30_000, np.float32)), timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in caught.value.details()


def test_message_that_does_not_come(small: ModelServer) -> None:
    """
    A call whose message does not come gives its thread back, and one without a message is refused.
    """
    method = "/tensorflow.serving.PredictionService/Predict"
    with grpc.insecure_channel(small.target) as channel:
        open_end = threading.Event()

        def nothing() -> Iterator[bytes]:
            open_end.wait(30)
            yield from ()

        call = channel.stream_unary(method)
        waiting = call.future(nothing(), timeout=30)
        good = _request(HALF, "x", np.array([1.0], np.float32))
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(good, timeout=30).outputs["y"].float_val
        assert waiting.code() is grpc.StatusCode.CANCELLED
        open_end.set()
        with pytest.raises(grpc.RpcError) as caught:
            call(iter(()), timeout=30)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == "The call has no message."


def test_tensor_that_claims_too_much(small: ModelServer) -> None:
    """
    A few bytes that claim a tensor of petabytes are refused before anything is allocated.
    """
    claims: list[list[int]] = [[2**50], [2**31, 2**31], [2**62, 2**62, 2**62], [2**40, 0, 2**40]]
    with grpc.insecure_channel(small.target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for sizes in claims:
            request = _request(HALF, "x", np.array([1.0], np.float32))
            del request.inputs["x"].tensor_shape.dim[:]
            for size in sizes:
                request.inputs["x"].tensor_shape.dim.add().size = size
            with pytest.raises(grpc.RpcError) as caught:
                stub.Predict(request, timeout=30)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_deep_json(small: ModelServer) -> None:
    """
    JSON of any depth gets a sentence, never a crash.
    """
    for text in (
        b'{"instances": ' + b"[" * 45_000 + b"]" * 45_000 + b"}",
        b'{"instances": [1.0], "other": ' + b"[" * 90_000,
        b'{"instances": ' + b'{"a":' * 15_000 + b"1" + b"}" * 15_000 + b"}",
    ):
        answer = small.predict(HALF, text)
        assert answer.status == 400
        assert len(answer.error) < 1000


def test_slow_reader_is_cut_off(small: ModelServer) -> None:
    """
    A client that asks much and reads nothing loses its connection.
    """
    with connected(small.rest_port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(1.0)
        metadata = f"GET /v1/models/{HALF}/metadata HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        end = time.monotonic() + 20
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _insist(client, metadata * 200, end)


def _insist(client: RawConnection, data: bytes, end: float) -> None:
    while time.monotonic() < end:
        with contextlib.suppress(TimeoutError):
            client.send(data)


def test_good_requests_after_all_this(small: ModelServer) -> None:
    """
    The server that has refused so much still answers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", small.rest_port, timeout=30)
    connection.request("POST", PATH, BODY)
    assert json.loads(connection.getresponse().read()) == {"predictions": [3.5]}
    connection.close()
