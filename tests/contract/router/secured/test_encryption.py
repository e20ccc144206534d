"""
TLS: it ends at the router, and is there again between the router and the pods.
"""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from testkit.authority import Authority
from testkit.load import GrpcClient, RestClient, Tally
from testkit.routers import CANARY, NAME, NAMESPACE, NET, Bench, Upstream, routing, until

HOST = f"{NAME}.{NAMESPACE}.svc"
SECURE, STRANGER = f"{NET}.5.1", f"{NET}.5.2"


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """
    Who signs what clients see.
    """
    return Authority(tmp_path_factory.mktemp("users"))


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """
    Who signs what pods show to the routers.
    """
    return Authority(tmp_path_factory.mktemp("operators"))


@pytest.fixture(scope="module")
def secured(operators: Authority) -> Iterator[None]:
    """
    A server of version 1 that encrypts, and one that shows another deployment's certificate.
    """
    servers = [
        Upstream(SECURE, "1", certificate=operators.file("pods", HOST)),
        Upstream(STRANGER, "1", certificate=operators.file("others", f"other.{NAMESPACE}.svc")),
    ]
    for server in servers:
        server.start()
    yield
    for server in servers:
        server.end()


def _routing(generation: int, weight: int = 0) -> dict[str, Any]:
    """
    Slot a encrypts; slot b has pods of a time when none did.
    """
    document = routing(generation, weight)
    document["slots"]["a"]["tls"] = True
    return document


@pytest.fixture
def encrypted(
    router: Bench, users: Authority, operators: Authority, secured: None, tmp_path: Path
) -> Path:
    """
    A router to which clients come by TLS; returns its folder with the certificate.
    """
    folder = users.secret(tmp_path / "tls", "first")
    router.environment |= {
        "MODELDEPLOY_TLS_DIR": str(folder),
        "MODELDEPLOY_UPSTREAM_CA_FILE": str(operators.certificate),
        "MODELDEPLOY_UPSTREAM_HOST": HOST,
    }
    router.pool("a", SECURE)
    router.route(_routing(1))
    return folder


@pytest.fixture
async def clients(
    router: Bench, encrypted: Path, users: Authority
) -> AsyncIterator[tuple[RestClient, GrpcClient]]:
    """
    A client of each protocol that trusts the router's certificate.
    """
    trusted = users.certificate
    rest = RestClient(router.address, trusted=ssl.create_default_context(cafile=trusted))
    rpc = GrpcClient(router.address, trusted=trusted.read_bytes())
    yield rest, rpc
    rest.close()
    await rpc.aclose()


async def _both(clients: tuple[RestClient, GrpcClient], count: int = 20) -> Tally:
    """
    Send requests over both protocols, none of which may fail.
    """
    tally = Tally()
    for _ in range(count):
        for client in clients:
            await client.predict(tally)
    assert not tally.failures
    assert tally.total == 2 * count
    return tally


def _shown(router: Bench, users: Authority) -> str:
    """
    Return the name in the certificate that a new client is shown.
    """
    context = ssl.create_default_context(cafile=users.certificate)
    with (
        socket.create_connection((router.address, 8501), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        certificate: Any = connection.getpeercert()
    return str(certificate["subject"][0][0][1])


async def test_both_ways_are_encrypted(
    router: Bench, clients: tuple[RestClient, GrpcClient]
) -> None:
    """
    Clients come by TLS, and the only server behind the router speaks nothing else.
    """
    router.start()
    tally = await _both(clients)
    assert set(tally.addresses) == {SECURE}
    assert router.slot("a")["up"] == 1


async def test_plain_clients_are_not_answered(router: Bench, encrypted: Path) -> None:
    """
    Whoever sends without TLS gets no answer at all.
    """
    router.start()
    plain = RestClient(router.address)
    with pytest.raises((OSError, EOFError)):
        await plain.send("GET", "/v1/models/mnist")
    plain.close()
    rpc = GrpcClient(router.address)
    with pytest.raises(grpc.aio.AioRpcError):
        await rpc.call("/tensorflow.serving.PredictionService/Predict")
    await rpc.aclose()


async def test_a_server_with_another_certificate_gets_nothing(
    router: Bench, clients: tuple[RestClient, GrpcClient]
) -> None:
    """
    It is signed by the right one, for another host: no request goes there, nor a health check.
    """
    router.pool("a", SECURE, STRANGER)
    router.start()
    tally = await _both(clients)
    assert set(tally.addresses) == {SECURE}
    assert router.slot("a") | {"up": 1, "endpoints": 2} == router.slot("a")


async def test_pods_of_a_time_before_are_asked_plainly(
    router: Bench, clients: tuple[RestClient, GrpcClient]
) -> None:
    """
    A canary that encrypts and a stable version that does not, or the reverse, share the traffic.
    """
    router.pool("b", CANARY)
    router.route(_routing(1, 5_000))
    router.start()
    tally = await _both(clients, 60)
    assert set(tally.versions) == {"1", "2"}


async def test_a_killed_haproxy_comes_back_encrypted(
    router: Bench, clients: tuple[RestClient, GrpcClient]
) -> None:
    """
    Its files hold the certificate, and the servers with how they are known.
    """
    router.start()
    await _both(clients)
    before = router.haproxy()
    os.kill(before, signal.SIGKILL)
    await asyncio.to_thread(
        until, lambda: router.haproxy() not in (0, before) and router.is_ready(), "another HAProxy"
    )
    rest, rpc = clients
    rest.close()
    tally = Tally()
    await rpc.predict(tally)  # it may learn only now that its connection is gone
    await _both(clients)


async def test_a_renewed_certificate_needs_no_restart(
    router: Bench, encrypted: Path, users: Authority, clients: tuple[RestClient, GrpcClient]
) -> None:
    """
    New connections see it, old ones go on; a wrong one changes nothing, and the log says so.
    """
    router.start()
    await _both(clients)
    before = router.haproxy()
    assert _shown(router, users) == "first"
    users.secret(encrypted, "second")
    router.route(_routing(2))
    await asyncio.to_thread(until, lambda: _shown(router, users) == "second", "the new one is seen")
    await _both(clients)
    (encrypted / "tls.key").write_text("not a key")
    router.route(_routing(3))
    await asyncio.to_thread(router.confirmed, 3)
    await asyncio.to_thread(
        until, lambda: "The old certificate stays in use" in router.log(), "the log says it"
    )
    assert _shown(router, users) == "second"
    assert router.haproxy() == before


async def test_a_certificate_that_haproxy_refuses_holds_nothing_up(
    router: Bench, encrypted: Path, users: Authority, clients: tuple[RestClient, GrpcClient]
) -> None:
    """
    One with more around it than a command may hold: the old one stays, and weights move on.
    """
    router.start()
    users.secret(encrypted, "wordy")
    wordy = encrypted / "tls.crt"
    wordy.write_text("a line that says nothing\n" * 4_000 + wordy.read_text())
    router.route(_routing(2))
    await asyncio.to_thread(
        until, lambda: "The old certificate stays in use" in router.log(), "the log says it"
    )
    await asyncio.to_thread(router.confirmed, 2)
    assert _shown(router, users) == "first"
    await _both(clients)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_without_a_certificate_no_router_starts(
    router: Bench, encrypted: Path, content: str | None
) -> None:
    """
    It says which field names the Secret, and what belongs into it.
    """
    if content is None:
        (encrypted / "tls.crt").unlink()
    else:
        (encrypted / "tls.crt").write_text(content)
    router.start(ready=False)
    assert router.process
    assert router.process.wait(20) == 1
    assert "spec.traffic.tls.secretName" in router.log()
