"""
TLS and mutual TLS for gRPC and REST, and certificates that change while the server runs.
"""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from testkit.authority import Authority, ssl_config
from testkit.model_servers import ModelServer, free_port, run_command, running

HALF = "half_plus_two"
INSTANCES = '{"instances": [1.0, 2.0, 5.0]}'


def _health(server: ModelServer, ca: Path, client: tuple[Path, Path] | None = None) -> bool:
    key, certificate = client or (None, None)
    credentials = grpc.ssl_channel_credentials(
        ca.read_bytes(),
        key.read_bytes() if key else None,
        certificate.read_bytes() if certificate else None,
    )
    with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=HALF), timeout=10)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _context(ca: Path, client: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if client:
        context.load_cert_chain(client[1], client[0])
    return context


def _rest(server: ModelServer, context: ssl.SSLContext) -> tuple[int, str]:
    """
    Predict over HTTPS, and return the status and the name in the server's certificate.
    """
    connection = http.client.HTTPSConnection(
        "localhost", server.rest_port, timeout=10, context=context
    )
    try:
        connection.request("POST", f"/v1/models/{HALF}:predict", b'{"instances": [1.0]}')
        response = connection.getresponse()
        response.read()
        seen: Any = connection.sock.getpeercert()
        return response.status, seen["subject"][0][0][1]
    finally:
        connection.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """
    One authority for all tests.
    """
    return Authority(tmp_path_factory.mktemp("authority"))


def _ready(server: ModelServer, check: Any) -> None:
    def serves() -> bool:
        try:
            return bool(check())
        except (grpc.RpcError, ssl.SSLError):
            return False

    server.wait(serves, "an encrypted answer")


@pytest.fixture
def encrypted(
    models: Path, tmp_path: Path, authority: Authority
) -> Iterator[tuple[ModelServer, Path]]:
    """
    A server that encrypts both protocols, and its file.
    """
    file = tmp_path / "ssl.config"
    file.write_text(ssl_config(*authority.issue("first")))
    flags = [f"--model_name={HALF}", f"--model_base_path={models}/{HALF}"]
    flags += [f"--ssl_config_file={file}", f"--rest_api_ssl_config_file={file}"]
    with running(tmp_path, *flags) as server:
        _ready(server, lambda: _health(server, authority.certificate))
        yield server, file


def test_encrypted_and_renewed(
    encrypted: tuple[ModelServer, Path], authority: Authority, tmp_path: Path
) -> None:
    """
    Both protocols are encrypted, and follow the file, unless it is wrong.
    """
    server, file = encrypted
    context = _context(authority.certificate)
    assert _rest(server, context) == (200, "first")
    with pytest.raises(grpc.RpcError), grpc.insecure_channel(server.target) as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    with pytest.raises((http.client.HTTPException, OSError)):
        server.get("/healthz")
    file.write_text("server_key: 'wrong'")
    assert _rest(server, context) == (200, "first")
    assert "The old certificate stays in use" in server.log
    other = Authority(_made(tmp_path / "other"))
    file.write_text(ssl_config(*other.issue("second")))
    assert _rest(server, _context(other.certificate)) == (200, "second")
    assert _health(server, other.certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        _rest(server, context)
    with pytest.raises(grpc.RpcError):
        _health(server, authority.certificate)


def test_plain_and_encrypted_ports_side_by_side(
    models: Path, tmp_path: Path, authority: Authority
) -> None:
    """
    With ports of its own for the encrypted, each protocol stays plain on the other one.
    """
    file = tmp_path / "ssl.config"
    file.write_text(ssl_config(*authority.issue("beside")))
    grpc_port, rest_port = free_port(), free_port()
    flags = [f"--model_name={HALF}", f"--model_base_path={models}/{HALF}"]
    flags += [f"--ssl_config_file={file}", f"--ssl_port={grpc_port}"]
    flags += [f"--rest_api_ssl_config_file={file}", f"--rest_api_ssl_port={rest_port}"]
    with running(tmp_path, *flags) as server:
        server.wait(lambda: server.get("/readyz").status == 200, "readiness")
        context = _context(authority.certificate)
        place = http.client.HTTPSConnection("127.0.0.1", rest_port, timeout=10, context=context)
        place.request("POST", f"/v1/models/{HALF}:predict", INSTANCES)
        answer = json.loads(place.getresponse().read())
        place.close()
        assert answer == {"predictions": [3.5, 4.0, 5.5]}  # version 2 adds 3
        request = health_pb2.HealthCheckRequest()
        for channel in (
            grpc.insecure_channel(server.target),
            grpc.secure_channel(
                f"127.0.0.1:{grpc_port}",
                grpc.ssl_channel_credentials(authority.certificate.read_bytes()),
            ),
        ):
            with channel:
                checked = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
                assert checked.status == health_pb2.HealthCheckResponse.SERVING


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_clients_must_show_who_they_are(models: Path, tmp_path: Path, authority: Authority) -> None:
    """
    With client_verify only those whom custom_ca has signed are let in, by both protocols.
    """
    client = authority.issue("client")
    stranger_ca = Authority(_made(tmp_path / "stranger"))
    stranger = stranger_ca.issue("stranger")
    ca = authority.certificate
    file = tmp_path / "ssl.config"
    file.write_text(ssl_config(*authority.issue("server"), ca))
    flags = [f"--model_name={HALF}", f"--model_base_path={models}/{HALF}"]
    flags += [f"--ssl_config_file={file}", f"--rest_api_ssl_config_file={file}"]
    with running(tmp_path, *flags) as server:
        _ready(server, lambda: _health(server, ca, client))
        assert _rest(server, _context(ca, client)) == (200, "server")
        for wrong in (None, stranger):
            with pytest.raises(grpc.RpcError):
                _health(server, ca, wrong)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                _rest(server, _context(ca, wrong))


@pytest.mark.parametrize(
    ("flag", "text", "sentence"),
    [
        ("ssl_config_file", "what", "Invalid protobuf file: "),
        ("ssl_config_file", None, "No such file or directory"),
        ("rest_api_ssl_config_file", 'server_key: "a"', "must give both server_key and server_ce"),
        ("rest_api_ssl_config_file", 'server_key: "a" server_cert: "b"', "cannot be used: "),
    ],
)
def test_wrong_files(models: Path, tmp_path: Path, flag: str, text: str, sentence: str) -> None:
    """
    A file that cannot be used ends the program with a sentence.
    """
    file = tmp_path / "ssl.config"
    if text:
        file.write_text(text)
    result = run_command(
        f"--model_base_path={models}/{HALF}",
        "--port=0",
        f"--grpc_socket_path={tmp_path}/socket",
        f"--rest_api_port={free_port()}",
        f"--{flag}={file}",
    )
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
