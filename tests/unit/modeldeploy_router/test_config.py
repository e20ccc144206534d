"""
The generated configuration: what must stand in it. That HAProxy takes it, the contract tests show.
"""

import json

import pytest

from modeldeploy_router.core.config import Frame, render_config
from modeldeploy_router.core.errors import error_files, router_errors

FRAME = Frame(
    run="/run/modeldeploy",
    bind="::",
    ports={"rest": 8501, "grpc": 8500},
    threads=1,
    max_connections=4096,
    drain_seconds=5,
    stop_seconds=60,
)


def test_times_and_sizes() -> None:
    """
    The settings stand where HAProxy reads them.
    """
    text = render_config(FRAME)
    assert "\n  grace 5000ms\n" in text
    assert "\n  hard-stop-after 65000ms\n" in text
    assert "\n  maxconn 4096\n" in text
    assert "\n  nbthread 1\n" in text


@pytest.mark.parametrize(
    ("bind", "line"),
    [
        ("::", "bind :::8501 v4v6"),
        ("0.0.0.0", "bind 0.0.0.0:8501"),
        ("10.1.2.3", "bind 10.1.2.3:8501"),
    ],
)
def test_the_address_to_listen_on(bind: str, line: str) -> None:
    """
    All addresses of both families are one bind.
    """
    frame = Frame(FRAME.run, bind, FRAME.ports, 1, 10, 5, 60)
    assert f"\n  {line}\n" in render_config(frame)


def test_every_slot_has_a_backend_of_each_protocol() -> None:
    """
    Slots are there from the start, since a new backend would need a reload.
    """
    text = render_config(FRAME)
    for slot in "abcdefgh":
        assert f"\nbackend rest_{slot}\n" in text
        assert f"\nbackend grpc_{slot}\n" in text


def test_every_error_has_a_file_of_each_protocol() -> None:
    """
    What the configuration names is written.
    """
    files = error_files("mnist")
    text = render_config(FRAME)
    for error in router_errors("mnist"):
        for protocol in ("rest", "grpc"):
            name = f"{protocol}-{error.status}.http"
            assert name in files
            assert f"  errorfile {error.status} {FRAME.run}/{name}\n" in text


def test_a_rest_error_is_tensorflow_servings_json() -> None:
    """
    The body is an object with one key, printed with four spaces, and its length is right.
    """
    head, _, body = error_files("mnist")["rest-503.http"].partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}" in head.decode()
    assert list(json.loads(body)) == ["error"]
    assert body.startswith(b'{\n    "error": ')


def test_a_grpc_error_is_a_status() -> None:
    """
    HTTP says 200, and the headers say the rest.
    """
    head = error_files("mnist")["grpc-503.http"].decode()
    assert head.startswith(
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\n"
    )
