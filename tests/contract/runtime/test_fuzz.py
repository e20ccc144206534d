"""
Hostile requests, with good ones among them: the server stays up, right, silent and small.
"""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.model_servers import ModelServer, running

# How many requests each kind of client sends: a slice for every day, and a million.
SLICE = {"http": 10_000, "connections": 1_000, "grpc": 2_000, "streams": 300}
MILLION = {"http": 800_000, "connections": 80_000, "grpc": 100_000, "streams": 20_000}
# How much the resident memory may grow after the first slice, which is the warm-up.
MOST_GROWTH = 1.10

_log = logging.getLogger(__name__)

CONFIG = """
config {{ name: "{name}" base_path: "{folder}/{name}" model_platform: "tensorflow"
  model_version_policy {{ all {{}} }} }}
"""


@pytest.fixture
def victim(models: Path, tmp_path: Path) -> Iterator[ModelServer]:
    """
    A server of its own, as nobody else should have to bear this.
    """
    names = ("half_plus_two", "sums", "kinds", "shapes", "heads")
    parts = "".join(CONFIG.format(name=name, folder=models) for name in names)
    config = tmp_path / "models.config"
    config.write_text(f"model_config_list {{ {parts} }}")
    with running(tmp_path, f"--model_config_file={config}") as server:
        server.wait_ready()
        yield server


def _attack(server: ModelServer, counts: dict[str, int], seed: int) -> None:
    """
    Let all kinds of clients loose at once, and judge what they saw.
    """
    started = time.monotonic()
    clients = {}
    for kind, count in counts.items():
        port = server.rest_port if kind in {"http", "connections"} else server.port
        command = [sys.executable, "-m", "testkit.hostile_client", kind]
        command += [str(number) for number in (port, seed, count)]
        clients[kind] = subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
    reports: dict[str, Any] = {}
    for kind, client in clients.items():
        output, _ = client.communicate(timeout=3000)
        assert client.returncode == 0, kind
        reports[kind] = json.loads(output.splitlines()[-1])
    seconds = time.monotonic() - started
    sent = sum(report["sent"] for report in reports.values())
    right = sum(report["right"] for report in reports.values())
    answers = {kind: report["answers"] for kind, report in reports.items()}
    _log.info(
        "hostile: %d requests in %.0f s, %d good ones right: %s", sent, seconds, right, answers
    )
    assert sent >= sum(counts.values())
    assert {kind: report["faults"] for kind, report in reports.items() if report["faults"]} == {}
    assert right > 0.08 * counts["http"]


def _resident(server: ModelServer) -> float:
    """
    Read the server's resident memory, in megabytes.
    """
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _judge(server: ModelServer) -> None:
    assert server.process.poll() is None
    assert server.get("/readyz").status == 200
    assert "Traceback" not in server.log
    assert len(server.log) < 100_000


def test_slice(victim: ModelServer) -> None:
    """
    More than ten thousand requests leave the server as it was.
    """
    _attack(victim, SLICE, seed=time.time_ns() % 2**32)
    _judge(victim)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_million(victim: ModelServer) -> None:
    """
    A million requests leave the server as it was, and as large.
    """
    _attack(victim, SLICE, seed=1)
    before = _resident(victim)
    _attack(victim, MILLION, seed=2)
    after = _resident(victim)
    _log.info("hostile: %.0f MB resident before the million, %.0f MB after", before, after)
    _judge(victim)
    assert after < MOST_GROWTH * before
