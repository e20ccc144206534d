"""
Checks ask real servers: what they answer, and what is never asked.
"""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from modeldeploy_operator.analysis.external import External, Measurement
from modeldeploy_operator.evidence.external import addresses
from modeldeploy_operator.evidence.external.addresses import Address
from modeldeploy_operator.evidence.external.asking import Asker, AskError
from modeldeploy_operator.evidence.external.filling import Facts
from modeldeploy_operator.evidence.external.measuring import Measurer, Question
from modeldeploy_operator.resource.checks import external_spec
from modeldeploy_operator.resource.checks.external_spec import ExternalPart, Prometheus, Web

FACTS = Facts("mnist", "vision", "mnist", "rev2", "2", "rev1", "1")
KEY = ("vision", "mnist")


def _forbids(address: Address) -> str:
    """
    Let the tests ask this machine, which an operator may not.
    """
    return "" if address.is_loopback else addresses.why_forbidden(address)


@dataclass
class Site:
    """
    A server on this machine, and what it was asked.
    """

    url: str = ""
    asked: list[web.Request] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)


async def _answer(request: web.Request) -> web.StreamResponse:
    site: Site = request.app[SITE]
    site.asked.append(request)
    path = request.path
    if path == "/redirect":
        raise web.HTTPFound(f"{site.url}/number")
    if path == "/missing":
        raise web.HTTPNotFound(text="nobody  home")
    if path == "/huge":
        return await _stream(request, b" " * 65_536, 20)
    if path == "/slow":
        await site.released.wait()
    if path == "/zipped":
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    if path == "/api/v1/query":
        value = "0.25" if request.query["query"] == 'up{v="rev2"}' else "NaN"
        data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, value]}]}
        return web.json_response({"status": "success", "data": data})
    return web.json_response({"rate": 0.5})


async def _stream(request: web.Request, piece: bytes, times: int) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(times):
        await response.write(piece)
    return response


SITE = web.AppKey("site", Site)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """
    A server with answers of all kinds.
    """
    found = Site()
    app = web.Application()
    app[SITE] = found
    app.router.add_get("/{tail:.*}", _answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        found.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield found
        found.released.set()
        await runner.cleanup()


def _names(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


@pytest.fixture
async def asker(site: Site) -> AsyncIterator[Asker]:
    """
    What may ask the server, by address and by name, and is impatient.
    """
    made = Asker((site.url, _names(site.url)), forbids=_forbids, seconds=2)
    yield made
    await made.close()


async def test_a_document_is_read(site: Site, asker: Asker) -> None:
    """
    By address or by name; nothing of the operator's goes along.
    """
    for url in (site.url, _names(site.url)):
        body = await asker.ask(URL(f"{url}/number?a=b"), {"X-Mine": "1"})
        assert json.loads(body) == {"rate": 0.5}
    assert [request.headers["X-Mine"] for request in site.asked] == ["1", "1"]
    assert not {"Cookie", "Authorization"} & set(site.asked[0].headers)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/redirect", "answered with a redirect (302), and redirects are not followed."),
        ("/missing", "answered 404: nobody home"),
        ("/huge", "answered with more than 1 MB."),
        ("/slow", "did not answer within 2 s."),
    ],
)
async def test_answers_that_are_none(site: Site, asker: Asker, path: str, words: str) -> None:
    """
    Each in one sentence that names the server.
    """
    with pytest.raises(AskError) as caught:
        await asker.ask(URL(f"{site.url}{path}"), {})
    assert str(caught.value) == f"{site.url} {words}"
    assert len(site.asked) == 1


async def test_a_compressed_answer_is_not_unpacked(site: Site, asker: Asker) -> None:
    """
    None was asked for, and a small one could be huge.
    """
    assert await asker.ask(URL(f"{site.url}/zipped"), {}) == b"\x1f\x8b"
    assert site.asked[0].headers["Accept-Encoding"] == "identity"


async def test_a_server_that_is_away(asker: Asker, site: Site) -> None:
    """
    The sentence holds what the network says.
    """
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        alone = Asker((url,), forbids=_forbids)
        with pytest.raises(AskError, match=r"could not be asked: .*Connect"):
            await alone.ask(URL(url), {})
        await alone.close()


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "127.0.0.1 is the operator itself"),
        ("localhost", "localhost may not be asked:"),
        ("0x7f.1", "0x7f.1 may not be asked: 127.0.0.1 is the operator itself"),
        ("2130706433", "is not a canonical IPv4 address"),
        ("169.254.169.254", "169.254.169.254 is a link-local address"),
        ("0xa9fea9fe", "169.254.169.254 is a link-local address"),
    ],
)
async def test_addresses_that_are_never_asked(site: Site, host: str, words: str) -> None:
    """
    However they are written, and although an administrator allowed the name.
    """
    port = URL(site.url).port
    url = f"http://{host}:{port}"
    strict = Asker((url,))
    with pytest.raises(AskError) as caught:
        await strict.ask(URL(f"{url}/number"), {})
    await strict.close()
    assert words in str(caught.value)
    assert site.asked == []


async def test_one_bad_address_among_several_forbids_a_name(site: Site) -> None:
    """
    Else a second answer of the name's server would choose.
    """
    bad = {ip_address("127.0.0.1")}
    only_six = Asker((_names(site.url),), forbids=lambda a: "of the past" if a in bad else "")
    with pytest.raises(AskError, match="may not be asked: of the past"):
        await only_six.ask(URL(f"{_names(site.url)}/number"), {})
    await only_six.close()
    assert site.asked == []


async def test_only_allowed_urls_are_asked(site: Site) -> None:
    """
    Without any entry, none is.
    """
    closed = Asker((), forbids=_forbids)
    with pytest.raises(AskError, match=r"may ask no URL.*checks\.allowedUrls"):
        await closed.ask(URL(f"{site.url}/number"), {})
    await closed.close()
    assert site.asked == []


def _question(part: ExternalPart, name: str = "check") -> Question:
    check: External = external_spec.terms(name, part)
    return Question(check, part, FACTS)


async def _measure(
    asker: Asker,
    part: ExternalPart,
    secrets: Callable[[str, str], Any] | None = None,
) -> Measurement:
    woken = asyncio.Event()

    async def none(_namespace: str, name: str) -> Mapping[str, str]:
        raise AskError(f"There is no Secret {name}.")

    measurer = Measurer(asker, secrets or none, lambda *_: woken.set())
    due = (_question(part),)
    assert measurer.collect(KEY, due) == {}
    await asyncio.wait_for(woken.wait(), 10)
    return measurer.collect(KEY, due)["check"]


async def test_prometheus_is_asked(site: Site, asker: Asker) -> None:
    """
    With the revision filled in; a value that is no number is none.
    """
    part = Prometheus.model_validate(
        {"server": f"{site.url}/", "query": 'up{v="{{canary}}"}', "max": 1}
    )
    assert (await _measure(asker, part)).value == 0.25
    other = part.model_copy(update={"query": 'up{v="{{stable}}"}'})
    problem = (await _measure(asker, other)).problem
    assert problem == "The value is nan, which is no number to compare."
    assert [request.path for request in site.asked] == ["/api/v1/query"] * 2


async def test_a_page_is_asked(site: Site, asker: Asker) -> None:
    """
    With headers, with placeholders quoted, and with the Secret's token.
    """

    async def secrets(namespace: str, name: str) -> Mapping[str, str]:
        assert (namespace, name) == ("vision", "token")
        return {"token": "abc"}

    written = {
        "url": f"{site.url}/of/{{{{namespace}}}}?rev={{{{canary}}}}",
        "jsonPath": "$.rate",
        "headers": {"X-Team": "vision"},
        "secretName": "token",
        "max": 1,
    }
    part = Web.model_validate(written)
    assert (await _measure(asker, part, secrets)).value == 0.5
    (request,) = site.asked
    assert request.path_qs == "/of/vision?rev=rev2"
    assert request.headers["Authorization"] == "Bearer abc"
    assert request.headers["X-Team"] == "vision"


async def test_without_its_secret_nothing_is_asked(site: Site, asker: Asker) -> None:
    """
    The check says why; a fault of ours is told as one, too.
    """
    part = Web.model_validate(
        {"url": f"{site.url}/x", "jsonPath": "$", "max": 1, "secretName": "none"}
    )
    assert (await _measure(asker, part)).problem == "There is no Secret none."

    async def broken(_namespace: str, _name: str) -> Mapping[str, str]:
        raise RuntimeError(base64.b64encode(b"secret"))

    found = await _measure(asker, part, broken)
    assert found.problem == "Measuring it failed: RuntimeError."
    bad = part.model_copy(update={"url": "http://[x/", "secret_name": None})
    assert "is no URL" in (await _measure(asker, bad)).problem
    assert site.asked == []


async def test_what_is_no_longer_due_is_dropped(site: Site, asker: Asker) -> None:
    """
    A slow server keeps nobody waiting: passes go on, and another question takes its place.
    """
    woken: list[tuple[str, str]] = []
    done = asyncio.Event()

    def wake(namespace: str, name: str) -> None:
        woken.append((namespace, name))
        done.set()

    async def none(_namespace: str, _name: str) -> Mapping[str, str]:
        return {}

    measurer = Measurer(asker, none, wake)
    slow = Web.model_validate({"url": f"{site.url}/slow", "jsonPath": "$.rate", "max": 1})
    quick = Web.model_validate({"url": f"{site.url}/quick", "jsonPath": "$.rate", "max": 1})
    assert measurer.collect(KEY, (_question(slow),)) == {}
    assert measurer.collect(KEY, (_question(slow),)) == {}
    assert measurer.collect(KEY, ()) == {}
    assert measurer.collect(KEY, (_question(quick),)) == {}
    await asyncio.wait_for(done.wait(), 10)
    assert woken == [KEY]
    measurer.forget(KEY)
    assert measurer.collect(KEY, ()) == {}
    measurer.collect(KEY, (_question(slow),))
    await measurer.close()
