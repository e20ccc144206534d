"""
SIGTERM while clients are in the middle of something.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.model_servers import ModelServer, running
from testkit.raw_http import connected, post

HALF = "half_plus_two"
REQUEST = post(f"/v1/models/{HALF}/versions/2:predict", b'{"instances": [1.0]}')


@pytest.fixture
def server(models: Path, tmp_path: Path) -> Iterator[ModelServer]:
    """
    A server that waits for two seconds.
    """
    flags = [f"--model_name={HALF}", f"--model_base_path={models}/{HALF}", "--drain_timeout=2s"]
    with running(tmp_path, *flags) as started:
        started.wait_ready()
        yield started


def _is_refusing(server: ModelServer) -> bool:
    try:
        with connected(server.rest_port):
            return False
    except ConnectionError:
        return True


def test_what_has_begun_is_finished(server: ModelServer) -> None:
    """
    An upload that goes on, and a request of which only a part has come, are answered.

    Idle connections are closed meanwhile, and the answers end their connections.
    """
    port = server.rest_port
    with connected(port) as upload, connected(port) as head, connected(port) as idle:
        upload.send(REQUEST[:-5])
        head.send(REQUEST[:20])
        idle.send(REQUEST)
        assert idle.receive()[0] == 200
        server.terminate()
        server.wait(lambda: _is_refusing(server), "a closed port", 5.0)
        assert idle.is_closed()
        upload.send(REQUEST[-5:])
        head.send(REQUEST[20:])
        for client in (upload, head):
            status, body = client.receive()
            assert (status, json.loads(body)) == (200, {"predictions": [3.5]})
            assert client.is_closed()
    assert server.process.wait(10) == 0
    assert "were cut" not in server.log


def test_what_does_not_end_is_cut(server: ModelServer) -> None:
    """
    An upload that does not go on is told so at the deadline, and the log counts it.
    """
    with connected(server.rest_port) as upload:
        upload.send(REQUEST[:-5])
        server.terminate()
        status, body = upload.receive()
        error = "The server has shut down before it could answer."
        assert (status, json.loads(body)) == (503, {"error": error})
        assert upload.is_closed()
    assert server.process.wait(10) == 0
    assert "1 requests were cut" in server.log
