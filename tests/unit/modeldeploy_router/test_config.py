"""
The generated configuration: what must stand in it. That HAProxy takes it, the contract tests show.
"""

import hashlib
import json

import pytest

from modeldeploy_router.core.access import token_entries
from modeldeploy_router.core.config import (
    Content,
    Frame,
    map_text,
    render_config,
)
from modeldeploy_router.core.errors import error_files, router_errors
from modeldeploy_router.core.servers import server_arguments

FRAME = Frame(
    run="/run/modeldeploy",
    threads=1,
    max_connections=4096,
    drain_seconds=5,
    stop_seconds=60,
)


NOTHING = Content()


def render(content: Content = NOTHING) -> str:
    """
    Render the configuration with two listening sockets.
    """
    return render_config(FRAME, {"rest": 7, "grpc": 8}, content)


def test_times_and_sizes() -> None:
    """
    The settings stand where HAProxy reads them.
    """
    text = render()
    assert "\n  grace 5000ms\n" in text
    assert "\n  hard-stop-after 65000ms\n" in text
    assert "\n  maxconn 4096\n" in text
    assert "\n  nbthread 1\n" in text


def test_the_listening_sockets_are_inherited() -> None:
    """
    HAProxy opens no port itself, so that the ports outlive it.
    """
    text = render()
    assert "frontend rest\n  bind fd@7\n" in text
    assert "frontend grpc\n  bind fd@8\n" in text


def test_a_new_life_starts_with_what_is_known() -> None:
    """
    Servers and map stand in the files, so that the first waiting client finds a way.
    """
    content = Content({"split": "a::0:3"}, {"a": frozenset({"10.0.0.2", "10.0.0.1"})})
    text = render(content)
    first, second = (server_arguments("rest", f"10.0.0.{n}") for n in (1, 2))
    assert f"  server ip-10.0.0.1 {first}\n  server ip-10.0.0.2 {second}\n" in text
    # Two protocols, and each slot's backend for what is pinned.
    assert text.count("  server ip-") == 8
    assert map_text(content.entries) == "split a::0:3\n"


def test_every_slot_has_a_backend_of_each_protocol() -> None:
    """
    Slots are there from the start, since a new backend would need a reload.
    """
    text = render()
    for slot in "abcdefgh":
        assert f"\nbackend rest_{slot}\n" in text
        assert f"\nbackend grpc_{slot}\n" in text


def test_every_error_has_a_file_of_each_protocol() -> None:
    """
    What the configuration names is written.
    """
    files = error_files("mnist")
    text = render()
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


def test_hashes_lead_to_clients() -> None:
    """
    The map holds each token's SHA-256 as HAProxy writes it, and never the token.
    """
    entries = token_entries({"web": b"abc\n", "batch": b" x.y~z/+==  "})
    assert entries == {
        hashlib.sha256(b"abc").hexdigest().upper(): "web",
        hashlib.sha256(b"x.y~z/+==").hexdigest().upper(): "batch",
    }


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"a\nb", b"=", "ä".encode(), b"\0"])
def test_what_is_no_token_opens_nothing(content: bytes) -> None:
    """
    An empty value, or one that no client could send, is left out.
    """
    assert token_entries({"web": content}) == {}
