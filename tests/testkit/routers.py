"""
Everything around a router under test: the upstream servers, the API server, and the agent itself.

All of it is real and runs on loopback addresses of its own, so that every upstream can have the
ports that a pod has.
"""

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeldeploy_devcluster import packages
from testkit.kube_api import KubeAPI

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"haproxy": "haproxy", "openssl": "openssl"}
"""The programs that these tests run, and the Debian packages that bring them."""
NAMESPACE = "vision"
NAME = "mnist"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
LABEL = "serving.modeldeploy.io/deployment"
# Loopback addresses of this process' own: two runs on one machine do not meet.
NET = f"127.{64 + os.getpid() % 128}"
STABLE = (f"{NET}.1.1", f"{NET}.1.2")
CANARY = f"{NET}.2.1"

# The example of ARCHITECTURE.md.
EXAMPLE: dict[str, Any] = {
    "generation": 7,
    "model": "mnist",
    "slots": {
        "a": {"revision": "0a1b2c3d4e", "service": "mnist-0a1b2c3d4e", "version": "1"},
        "b": {"revision": "5f6a7b8c9d", "service": "mnist-5f6a7b8c9d", "version": "2"},
    },
    "roles": {"stable": "a", "canary": "b"},
    "weight": 1000,
}


def until(condition: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
    """
    Wait for a condition, and fail with what was waited for.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"Waited {seconds} s in vain for this: {what}.")


@dataclass(slots=True)
class Upstream:
    """
    One model server, as a process that can be killed.
    """

    address: str
    version: str
    state: str = "AVAILABLE"
    failing: bool = False
    certificate: Path | None = None
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """
        Start and wait until it serves.
        """
        flags = ["--address", self.address, "--version", self.version, "--state", self.state]
        flags += ["--failing"] if self.failing else []
        if self.certificate:
            ports = ["--rest_port", "8507", "--grpc_port", "8506"]
            flags += ["--certificate", str(self.certificate), *ports]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "testkit.upstream", "--model", NAME, *flags],
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert "serving" in self.process.stdout.readline()

    def kill(self) -> None:
        """
        Kill it as a cluster kills a pod that does not listen.
        """
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """
        Send a signal and wait for the end.
        """
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(20)
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None


def routing(generation: int, weight: int = 0, **changes: Any) -> dict[str, Any]:
    """
    Build a routing configuration: version 1 in slot a is stable, version 2 in slot b is prepared.
    """
    slots = {
        "a": {"revision": "aaaaaaaaaa", "service": f"{NAME}-aaaaaaaaaa", "version": "1"},
        "b": {"revision": "bbbbbbbbbb", "service": f"{NAME}-bbbbbbbbbb", "version": "2"},
    }
    roles = {"stable": "a", "canary": "b"} if weight else {"stable": "a"}
    document = {"generation": generation, "model": NAME, "slots": slots, "roles": roles}
    return document | {"weight": weight} | changes


def endpoint(address: str, *, ready: bool = True, terminating: bool = False) -> dict[str, Any]:
    """
    Build one endpoint of an EndpointSlice.
    """
    conditions = {"ready": ready, "serving": True, "terminating": terminating}
    return {"addresses": [address], "conditions": conditions}


@dataclass(slots=True)
class Bench:
    """
    One router under test with its API server.
    """

    folder: Path
    address: str
    api: KubeAPI
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    keeper: subprocess.Popen[bytes] | None = None

    def route(self, document: dict[str, Any]) -> None:
        """
        Write the routing ConfigMap.
        """
        item = {
            "metadata": {"name": f"{NAME}-routing"},
            "data": {"routing.json": json.dumps(document)},
        }
        self.api.store.put(CONFIG_MAPS, item)

    def pool(self, slot: str, *addresses: str | dict[str, Any]) -> None:
        """
        Write the EndpointSlice of a slot's pool.
        """
        service = f"{NAME}-{slot * 10}"
        labels = {LABEL: NAME, "kubernetes.io/service-name": service}
        endpoints = [endpoint(a) if isinstance(a, str) else a for a in addresses]
        metadata = {"name": f"{service}-x", "labels": labels}
        slice_ = {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints}
        self.api.store.put(SLICES, slice_)

    def start(self, *, ready: bool = True) -> None:
        """
        Start the agent as its image does, and wait until it is ready.
        """
        account = self.api.account
        environment = {
            "PATH": os.environ["PATH"] + ":/usr/sbin",
            "PYTHONPATH": str(ROOT / "router" / "src"),
            "PYTHONSAFEPATH": "1",
            "MODELDEPLOY_NAME": NAME,
            "POD_NAMESPACE": NAMESPACE,
            "KUBERNETES_SERVICE_HOST": self.api.address,
            "KUBERNETES_SERVICE_PORT": str(self.api.port),
            "MODELDEPLOY_ACCOUNT_DIR": str(account),
            "MODELDEPLOY_RUN_DIR": str(self.folder / "run"),
            "MODELDEPLOY_ROUTING_FILE": str(self.folder / "routing.json"),
            "MODELDEPLOY_BIND_ADDRESS": self.address,
            "MODELDEPLOY_DRAIN_SECONDS": "1",
            "MODELDEPLOY_STOP_SECONDS": "10",
            "MODELDEPLOY_LOG_LEVEL": "DEBUG",
        } | self.environment
        with (self.folder / "router.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modeldeploy_router"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if ready:
            until(self.is_ready, "the router is ready")

    def start_keeper(self) -> None:
        """
        Start the keeper, the second container of a router's pod.
        """
        self.environment["MODELDEPLOY_KEEPER"] = str(self.folder / "keeper.sock")
        self.keeper = subprocess.Popen(
            [sys.executable, "-S", "-m", "modeldeploy_router.keeper"],
            env={"PYTHONPATH": str(ROOT / "router" / "src"), **self.environment},
        )

    def kill_keeper(self) -> None:
        """
        Kill the keeper.
        """
        if self.keeper is not None:
            self.keeper.kill()
            self.keeper.wait(10)
            self.keeper = None

    def haproxy(self) -> int:
        """
        Return the process of HAProxy, the agent's only child; 0 while there is none.
        """
        assert self.process
        number = self.process.pid
        found = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        return int(found[0]) if found else 0

    def is_ready(self) -> bool:
        """
        Ask the readiness page.
        """
        return self.get("/readyz")[0] == 200

    def get(self, path: str) -> tuple[int, str]:
        """
        Get one of the agent's pages; the status is 0 while nothing listens.
        """
        try:
            with urllib.request.urlopen(f"http://{self.address}:8502{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def status(self) -> dict[str, Any]:
        """
        Get the status document.
        """
        code, text = self.get("/status")
        assert code == 200, text
        document: dict[str, Any] = json.loads(text)
        return document

    def slot(self, name: str) -> dict[str, Any]:
        """
        Get a slot's part of the status.
        """
        slot: dict[str, Any] = self.status()["slots"].get(name, {})
        return slot

    def stat(self) -> list[dict[str, str]]:
        """
        Ask HAProxy for its counters, as nobody else may.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "run" / "haproxy.sock"))
            connection.sendall(b"show stat\n")
            text = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
        return list(csv.DictReader(text.removeprefix("# ").splitlines()))

    def confirmed(self, generation: int) -> None:
        """
        Wait until a generation is acknowledged.
        """
        until(
            lambda: self.status()["generation"] == generation,
            f"generation {generation} is in force",
        )

    def log(self) -> str:
        """
        Return what the agent has logged.
        """
        return (self.folder / "router.log").read_text()

    def end(self) -> None:
        """
        Kill the agent and its HAProxy, which make up a session of their own.
        """
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None


@contextlib.contextmanager
def bench(folder: Path, number: int, **environment: str) -> Iterator[Bench]:
    """
    Give a router at NET.0.NUMBER that is not started yet, with an API server that answers.
    """
    packages.ensure(packages.missing_packages(PROGRAMS))
    api = KubeAPI(folder, f"{NET}.9.{number}")
    api.start()
    under_test = Bench(folder, f"{NET}.0.{number}", api, environment)
    try:
        yield under_test
    finally:
        under_test.end()
        under_test.kill_keeper()
        api.stop()
