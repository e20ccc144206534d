"""
Stores that answer as Google's and Azure's do, with the models in them.
"""

import http.server
import json
import socketserver
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from testkit import clouds

NAMES = ("half_plus_two", "incomplete", "broken")


@pytest.fixture(scope="session")
def google(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """
    A store that answers as Google Cloud Storage does; the environment that leads there.
    """
    with clouds.google(tmp_path_factory.mktemp("google")) as endpoint:
        clouds.upload(clouds.google_files(endpoint), models, NAMES, "team")
        yield {"STORAGE_EMULATOR_HOST": endpoint}


@pytest.fixture(scope="session")
def azure(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """
    A store that answers as Azure Blob Storage does; the environment that leads there.
    """
    with clouds.azure(tmp_path_factory.mktemp("azure")) as connection:
        clouds.upload(clouds.azure_files(connection), models, NAMES, "team")
        yield {"AZURE_STORAGE_CONNECTION_STRING": connection}


@dataclass(slots=True)
class Gate:
    """
    Lets through to a store only who shows a token that it gave for a service account's key.
    """

    url: str = ""
    key: dict[str, str] = field(default_factory=dict)
    tokens_given: int = 0
    status: int = 401


def _key(token_uri: str) -> dict[str, str]:
    """
    Make a service account's key.
    """
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": "1",
        "private_key": private.decode(),
        "client_email": "reader@test.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }


def _handler(gate: Gate, store: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            gate.tokens_given += 1
            token = {"access_token": "ticket", "expires_in": 3600, "token_type": "Bearer"}
            self._answer(200, json.dumps(token).encode())

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != "Bearer ticket":
                message = {"error": {"code": gate.status, "message": "Not you."}}
                self._answer(gate.status, json.dumps(message).encode())
                return
            wanted = urllib.request.Request(store + self.path)
            if "Range" in self.headers:
                wanted.add_header("Range", self.headers["Range"])
            try:
                with urllib.request.urlopen(wanted, timeout=10) as answer:
                    self._answer(answer.status, answer.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, error.read())

    return Handler


@pytest.fixture
def gate(google: dict[str, str]) -> Iterator[Gate]:
    """
    A gate before Google's stand-in, which itself asks nobody for anything.
    """
    found = Gate()
    handler = _handler(found, google["STORAGE_EMULATOR_HOST"])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        found.key = _key(f"{found.url}/token")
        yield found
        server.shutdown()
        thread.join()
