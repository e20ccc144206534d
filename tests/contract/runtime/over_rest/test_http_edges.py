"""
HTTP/1.1 as clients should not speak it, and as some do: over plain sockets.
"""

import json
import time

import pytest

from testkit.model_servers import ModelServer
from testkit.raw_http import connected, post

PREDICT = "/v1/models/half_plus_two/versions/1:predict"
BODY = b'{"instances": [1.0, 2.0, 5.0]}'
ANSWER = {"predictions": [2.5, 3.0, 4.5]}
GOOD = post(PREDICT, BODY)
HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: test\r\n".encode()


def test_pipelined_requests_are_answered_in_order(server: ModelServer) -> None:
    """
    A client may send many requests at once, slow, cheap and wrong ones: answers keep the order.
    """
    slow = post("/v1/models/slow:predict", b'{"instances": [1000]}')
    health = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
    with connected(server.rest_port) as client:
        client.send((slow + GOOD + health + b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n") * 50)
        for _ in range(50):
            assert client.receive()[0] == 200
            status, body = client.receive()
            assert (status, json.loads(body)) == (200, ANSWER)
            assert client.receive() == (200, b'{"healthy":true}')
            assert client.receive()[0] == 404


def test_request_in_single_bytes(server: ModelServer) -> None:
    """
    A request may come in pieces of any size.
    """
    with connected(server.rest_port) as client:
        for index in range(len(GOOD)):
            client.send(GOOD[index : index + 1])
        status, body = client.receive()
        assert (status, json.loads(body)) == (200, ANSWER)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Transfer-Encoding: chunked", b"5\r\n%b\r\n19\r\n%b\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"5;x=y\r\n%b\r\n19\r\n%b\r\n0\r\nTrailer: a\r\n\r\n"),
        ("Transfer-Encoding: CHUNKED", b"0005\r\n%b\r\n19\r\n%b\r\n000\r\n\r\n"),
    ],
)
def test_chunks(server: ModelServer, head: str, body: bytes) -> None:
    """
    A body may come in chunks, with extensions and trailers; the connection lives on.
    """
    request = HEAD + head.encode() + b"\r\n\r\n" + body % (BODY[:5], BODY[5:])
    with connected(server.rest_port) as client:
        for _ in range(2):
            client.send(request)
            status, answer = client.receive()
            assert (status, json.loads(answer)) == (200, ANSWER)


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"Content-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 30\r\nContent-Length: 30\r\n\r\n" + BODY,
        HEAD + b"Content-Length: 30\r\nContent-Length: 31\r\n\r\n" + BODY,
        HEAD + b"Content-Length: +30\r\n\r\n" + BODY,
        HEAD + b"Content-Length: -30\r\n\r\n" + BODY,
        HEAD + b"Content-Length: 30, 30\r\n\r\n" + BODY,
        HEAD + b"Content-Length: 0x1e\r\n\r\n" + BODY,
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
        HEAD + b"Content-Length : 30\r\n\r\n" + BODY,
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeX0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        HEAD + b"X-A: 1\r\n folded\r\n\r\n",
        HEAD + b"X-A: nul\x00byte\r\n\r\n",
        HEAD + b"X\x00A: 1\r\n\r\n",
        HEAD + b": empty\r\n\r\n",
        b"GET /healthz\x00 HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: a\n\n",
        b"GET /healthz HTTP/7.3\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200,
        b"\x00" * 100,
    ],
)
def test_what_is_not_http(server: ModelServer, request_bytes: bytes) -> None:
    """
    What two parsers might read in two ways, or none at all, gets 400 and ends the connection.

    So nothing that follows it can pass for a request of its own.
    """
    with connected(server.rest_port) as client:
        client.send(request_bytes + GOOD)
        status, body = client.receive()
        assert status == 400
        assert json.loads(body)["error"].startswith("This is not HTTP/1.1 as this server speaks it")
        assert client.is_closed()


def test_garbage_after_a_good_request(server: ModelServer) -> None:
    """
    What was right before is answered first.
    """
    with connected(server.rest_port) as client:
        client.send(GOOD + b"garbage\r\n\r\n")
        assert client.receive()[0] == 200
        assert client.receive()[0] == 400
        assert client.is_closed()


def test_connect_is_refused(server: ModelServer) -> None:
    """
    The server is no proxy.
    """
    with connected(server.rest_port) as client:
        client.send(b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\n\r\n" + GOOD)
        status, body = client.receive()
        error = "CONNECT is not possible: this server is no proxy."
        assert (status, json.loads(body)) == (405, {"error": error})
        assert client.is_closed()


def test_offer_of_another_protocol_is_ignored(server: ModelServer) -> None:
    """
    Curl offers HTTP/2 when it is asked to; the answer is HTTP/1.1, with and without a body.
    """
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    with connected(server.rest_port) as client:
        client.send(post(PREDICT, BODY, *offer) + GOOD)
        for _ in range(2):
            status, body = client.receive()
            assert (status, json.loads(body)) == (200, ANSWER)


def test_leave_to_send_a_body(server: ModelServer) -> None:
    """
    A client that asks for leave to send its body gets it, or at once the reason why not.
    """
    with connected(server.rest_port) as client:
        head, _, body = post(PREDICT, BODY, "Expect: 100-continue").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.receive() == (100, b"")
        client.send(body)
        assert client.receive()[0] == 200
        client.send(head.replace(b"half_plus_two", b"half_plus_two/x") + b"\r\n\r\n")
        assert client.receive()[0] == 400
        assert client.is_closed()


def test_half_closed_connection(server: ModelServer) -> None:
    """
    A client that says that it sends no more still gets all its answers.
    """
    slow = post("/v1/models/slow:predict", b'{"instances": [20000]}')
    with connected(server.rest_port) as client:
        client.send(slow + GOOD)
        client.socket.shutdown(1)
        assert client.receive()[0] == 200
        assert client.receive()[0] == 200
        assert client.is_closed()


def test_early_closes_leave_nothing_behind(server: ModelServer) -> None:
    """
    Clients that leave at any point of a request hold nothing: the server goes on answering.
    """
    for length in range(1, len(GOOD), 7):
        with connected(server.rest_port) as client:
            client.send(GOOD[:length])
    answer = server.predict("half_plus_two/versions/1", BODY)
    assert answer.json == ANSWER


def test_old_clients(server: ModelServer) -> None:
    """
    HTTP/1.0 closes after the answer, unless the client asks otherwise and is told so.
    """
    with connected(server.rest_port) as client:
        client.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.receive()[0] == 200
        client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.receive()[0] == 200
        assert client.is_closed()


def test_absolute_targets_and_fragments(server: ModelServer) -> None:
    """
    A path may come with a host before it, a query and a fragment behind it.
    """
    with connected(server.rest_port) as client:
        client.send(b"GET http://test/healthz?a=b#c HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.receive() == (200, b'{"healthy":true}')


def test_head_has_no_body(server: ModelServer) -> None:
    """
    The answer to HEAD is a head alone.
    """
    with connected(server.rest_port) as client:
        client.send(b"HEAD /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        assert client.receive() == (0, b"")


def test_unread_body_of_a_refused_request(server: ModelServer) -> None:
    """
    The body of a request that needs none is passed over, and the next request is understood.
    """
    with connected(server.rest_port) as client:
        client.send(post("/nothing", b"x" * 100_000) + GOOD)
        assert client.receive()[0] == 404
        assert client.receive()[0] == 200


def test_client_that_does_not_read(server: ModelServer) -> None:
    """
    A client that asks and asks and never reads is not answered any further, and hurts nobody.
    """
    with connected(server.rest_port) as client:
        client.socket.settimeout(0.0)
        asked = b"GET /v1/models/half_plus_two/metadata HTTP/1.1\r\nHost: test\r\n\r\n" * 100
        end = time.monotonic() + 10
        try:
            while time.monotonic() < end:
                client.send(asked)
        except BlockingIOError:
            pass
        assert time.monotonic() < end
        assert server.get("/healthz").status == 200
