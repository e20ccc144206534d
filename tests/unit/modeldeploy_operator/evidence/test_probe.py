"""
The probe: short questions over real HTTP, and no answer is never an error.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from modeldeploy_operator.evidence.probe import Probe

LOADED = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
BROKEN = {"state": "END", "status": {"error_code": "INVALID_ARGUMENT", "error_message": "no graph"}}
UNLOADED = {"state": "END", "status": {"error_code": "OK", "error_message": ""}}


class Server:
    """
    Answers every question with the same text, and notes whom and what it was asked.
    """

    def __init__(self) -> None:
        self.body = "{}"
        self.status = 200
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        """
        Answer, whatever the path.
        """
        self.asked.append(f"{request.host}{request.raw_path}")
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        return web.Response(text=self.body, status=self.status, headers=headers)


@pytest.fixture
def server() -> Server:
    """
    Set the server up.
    """
    return Server()


@pytest.fixture
async def probe(server: Server, tmp_path: Path) -> AsyncIterator[Probe]:
    """
    Connect a probe to the server, through a Unix socket whatever address is asked.
    """
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    socket = str(tmp_path / "socket")
    await web.UnixSite(runner, socket).start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as session:
        yield Probe(session)
    await runner.cleanup()


async def test_a_routers_status_is_asked_at_its_port(probe: Probe, server: Server) -> None:
    """
    The status is read from port 8502, by IPv4 and by IPv6.
    """
    server.body = '{"generation": 7}'
    assert await probe.router_status("10.0.0.1") == {"generation": 7}
    assert await probe.router_status("fd00::1") == {"generation": 7}
    assert server.asked == ["10.0.0.1:8502/status", "[fd00::1]:8502/status"]


@pytest.mark.parametrize("body", ["", "[]", "<html>", "{", "x" * 100_000])
async def test_what_is_no_object_is_no_answer(probe: Probe, server: Server, body: str) -> None:
    """
    Anything but a JSON object of bearable size counts as silence.
    """
    server.body = body
    assert await probe.router_status("10.0.0.1") is None
    assert await probe.load_error("10.0.0.1", "mnist", "1") is None


async def test_redirects_are_not_followed(probe: Probe, server: Server) -> None:
    """
    A pod cannot send the operator elsewhere.
    """
    server.status = 302
    await probe.router_status("10.0.0.1")
    assert server.asked == ["10.0.0.1:8502/status"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [(LOADED, None), (UNLOADED, None), (BROKEN, "no graph"), ({"state": "LOADING"}, None)],
)
async def test_a_load_that_failed_says_why(
    probe: Probe, server: Server, answer: dict[str, Any], error: str | None
) -> None:
    """
    Only the state END with an error is a failure; anything else may still come up.
    """
    server.body = str({"model_version_status": [answer]}).replace("'", '"')
    assert await probe.load_error("10.0.0.1", "mnist", "3") == error
    assert server.asked == ["10.0.0.1:8501/v1/models/mnist/versions/3"]


async def test_an_answer_in_another_form_is_no_error(probe: Probe, server: Server) -> None:
    """
    A server that answers something else has told no error.
    """
    server.body = '{"model_version_status": []}'
    assert await probe.load_error("10.0.0.1", "mnist", "3") is None


async def test_nobody_there_is_no_answer(tmp_path: Path) -> None:
    """
    A pod that cannot be reached is silent; the pass goes on.
    """
    connector = aiohttp.UnixConnector(str(tmp_path / "nobody"))
    async with aiohttp.ClientSession(connector=connector) as session:
        assert await Probe(session).router_status("10.0.0.1") is None
