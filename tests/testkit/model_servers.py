"""
The real model server as a process, and a plain way to talk to it.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# On a machine with much else to do.
START_SECONDS = 150.0
# Below the ports that kernels give to clients, and Kubernetes to services.
_PORTS = range(12000, 30000)
_reservations: list[socket.socket] = []


def free_port() -> int:
    """
    Find a port that nobody uses, and that is nobody else's while this process lives.

    A server cannot be asked for any port, as 0 switches it off.  So that no other test process
    finds the same one before the server listens, a socket whose name tells the port reserves it.
    """
    while True:
        port = random.choice(_PORTS)
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0modeldeploy-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        _reservations.append(reservation)
        return port


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back over REST.
    """

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """
        The body as JSON.
        """
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """
        The text of an error.
        """
        return str(self.json["error"])


class ModelServer:
    """
    One running server; its log is in a file.
    """

    def __init__(
        self,
        log: Path,
        flags: list[str],
        rest: bool = True,  # noqa: FBT001, FBT002 - one choice, named by callers
    ) -> None:
        self.port, self.rest_port = free_port(), free_port() if rest else 0
        self._log = log
        self.flags = flags
        self.process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """
        What the server has said so far.
        """
        return self._log.read_text()

    @property
    def target(self) -> str:
        """
        The address for gRPC clients.
        """
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """
        Start without waiting.
        """
        ports = [f"--port={self.port}", f"--rest_api_port={self.rest_port}"]
        command = [sys.executable, "-m", "modeldeploy_runtime", *ports, *self.flags]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """
        Send one request on a connection of its own; a body that is no bytes is written as JSON.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=60)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """
        Send a GET request.
        """
        return self.request("GET", path)

    def predict(self, path: str, body: Any) -> Answer:
        """
        Send a prediction to a model, given as ``NAME`` or ``NAME/versions/1``.
        """
        return self.request("POST", f"/v1/models/{path}:predict", body)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
        """
        Wait for a condition while the server runs.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"The server ended while {what} was awaited:\n{self.log}")
            try:
                found = condition()
            except OSError:
                found = None
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come within {seconds} s:\n{self.log}")

    def wait_state(self, model: str, version: int, state: str) -> None:
        """
        Wait until a version is in a state.
        """

        def reached() -> bool:
            answer = self.get(f"/v1/models/{model}/versions/{version}")
            found = answer.json.get("model_version_status", [{}])
            return bool(found[0].get("state") == state)

        self.wait(reached, f"state {state} of version {version} of {model}")

    def wait_ready(self) -> None:
        """
        Wait until the server says that it is ready.
        """
        self.wait(lambda: self.get("/readyz").status == 200, "readiness")

    def terminate(self) -> None:
        """
        Ask the server to end.
        """
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """
        Make sure that the server is gone.
        """
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[ModelServer]:
    """
    Run a server while the block runs.
    """
    server = ModelServer(folder / f"server-{os.urandom(4).hex()}.log", list(flags))
    server.start()
    try:
        yield server
    except BaseException:
        print(f"The server has said:\n{server.log}")  # noqa: T201 - pytest shows it
        raise
    finally:
        server.end()


def run_command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """
    Run the program to its end.
    """
    return subprocess.run(
        [sys.executable, "-m", "modeldeploy_runtime", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
        timeout=100,
    )
