"""
Fetches that share a folder, as those of pods with a cache do: real processes and real locks.
"""

import contextlib
import functools
import http.server
import json
import shutil
import socketserver
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from testkit.model_servers import run_command

HALF, GRAPH = "half_plus_two", "saved_model.pb"
PROGRAM = [sys.executable, "-m", "modeldeploy_runtime"]
WAITS = "Another pod is at work"


@dataclass(slots=True)
class Shop:
    """
    An HTTP server over the models that counts what it gives, and keeps graphs back for a while.
    """

    uri: str = ""
    given: Counter[str] = field(default_factory=Counter)
    asked: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def shop(models: Path) -> Iterator[Shop]:
    """
    A shop that is closed.
    """
    found = Shop()

    class Counting(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            found.given[name] += 1
            if name == GRAPH:
                found.asked.set()
                found.open.wait(60)
            with contextlib.suppress(ConnectionError):
                super().do_GET()

    handler = functools.partial(Counting, directory=str(models))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        found.uri = f"http://127.0.0.1:{server.server_address[1]}/{HALF}"
        yield found
        found.open.set()
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def _fetching(folder: Path, uri: str, *more: str) -> Iterator["subprocess.Popen[str]"]:
    command = [*PROGRAM, "fetch", f"--uri={uri}", "--version=2", f"--to={folder}", "--shared"]
    pipe = subprocess.PIPE
    process = subprocess.Popen([*command, *more], stdout=pipe, stderr=pipe, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _until_waiting(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if WAITS in line:
            return
    raise AssertionError("it did not wait")


def _ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    report: dict[str, Any] = json.loads(out)
    return report


def _fetch(folder: Path, uri: str, *more: str) -> dict[str, Any]:
    flags = (f"--uri={uri}", "--version=2", f"--to={folder}", "--shared", *more)
    report: dict[str, Any] = json.loads(run_command("fetch", *flags).stdout)
    return report


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_one_downloads_for_all(shop: Shop, models: Path, tmp_path: Path) -> None:
    """
    Of three that start at once one downloads; the others wait, verify, and download nothing.
    """
    folder = tmp_path / "mnist" / "0a1b2c3d4e"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(_fetching(folder, shop.uri))
        assert shop.asked.wait(30)
        others = [stack.enter_context(_fetching(folder, shop.uri)) for _ in range(2)]
        for other in others:
            _until_waiting(other)
        shop.open.set()
        reports = [_ended(process) for process in (first, *others)]
    size = _size(models / HALF / "2")
    assert [report["downloaded"] for report in reports] == [size, 0, 0]
    assert {report["bytes"] for report in reports} == {size}
    assert len({report["digest"] for report in reports}) == 1
    assert shop.given[GRAPH] == 1
    assert [path.name for path in folder.iterdir()] == ["2"]
    known = _fetch(folder, "http://127.0.0.1:9/away", f"--digest={reports[0]['digest']}")
    assert (known["code"], known["downloaded"]) == ("Fetched", 0)


def test_one_that_is_killed_lets_go(shop: Shop, tmp_path: Path) -> None:
    """
    Who waits for a fetch that is killed in mid-download clears away what it left, and fetches.
    """
    folder = tmp_path / "mnist" / "0a1b2c3d4e"
    with _fetching(folder, shop.uri) as first:
        assert shop.asked.wait(30)
        with _fetching(folder, shop.uri) as second:
            _until_waiting(second)
            [left] = folder.glob(".*")
            first.kill()
            first.wait(20)
            shop.open.set()
            assert _ended(second)["downloaded"] > 0
    assert not left.exists()
    assert [path.name for path in folder.iterdir()] == ["2"]


def test_a_spoiled_folder_is_fetched_anew(models: Path, tmp_path: Path) -> None:
    """
    Other contents of the same size are noticed, with a recorded digest and without one.
    """
    folder, uri = tmp_path / "mnist" / "0a1b2c3d4e", str(models / HALF)
    digest = _fetch(folder, uri)["digest"]
    for known in ((), (f"--digest={digest}",)):
        graph = folder / "2" / GRAPH
        graph.write_bytes(bytes(graph.stat().st_size))
        mended = _fetch(folder, uri, *known)
        assert (mended["digest"], mended["downloaded"]) == (digest, _size(models / HALF / "2"))
        assert graph.read_bytes() == (models / HALF / "2" / GRAPH).read_bytes()
        assert _fetch(folder, uri, *known)["downloaded"] == 0


def test_other_contents_in_the_storage_fail_and_spoil_nothing(models: Path, tmp_path: Path) -> None:
    """
    What the storage holds now is not what was recorded: that fails, until the storage is mended.
    """
    source, folder = tmp_path / "source", tmp_path / "mnist" / "0a1b2c3d4e"
    shutil.copytree(models / HALF / "2", source / "2")
    digest = _fetch(folder, str(source))["digest"]
    shutil.rmtree(folder / "2")
    (source / "2" / "assets").mkdir(exist_ok=True)
    (source / "2" / "assets" / "more").write_text("more")
    changed = _fetch(folder, str(source), f"--digest={digest}")
    assert (changed["code"], list(folder.iterdir())) == ("ContentChanged", [])
    (source / "2" / "assets" / "more").unlink()
    assert _fetch(folder, str(source), f"--digest={digest}")["code"] == "Fetched"


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ("ro", "CacheUnusable", "Read-only file system"),
        ("size=16k", "NoSpace", "became full"),
        ("size=4k", "NoSpace", "bytes left where"),
        ("nr_inodes=1", "NoSpace", "The cache is full"),
    ],
)
def test_a_claim_that_cannot_be_written(
    models: Path, tmp_path: Path, options: str, code: str, told: str
) -> None:
    """
    A volume that is read-only or full fails in one sentence that says so, and may be mended.
    """
    fetch = [*PROGRAM, "fetch", f"--uri={models}/{HALF}", "--version=2", "--shared"]
    fetch.append(f"--to={tmp_path}/mnist/0a1b2c3d4e")
    mounted = f'mount -t tmpfs -o {options} none {tmp_path} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mounted, "sh", *fetch]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert (report["code"], report["permanent"], done.returncode) == (code, False, 1)
    assert told in report["message"]
    assert report["message"].count(". ") == 0


def test_a_folder_is_discarded(shop: Shop, tmp_path: Path) -> None:
    """
    It waits for a fetch that is under way, then removes what that brought; the next one fetches.
    """
    folder = tmp_path / "mnist" / "0a1b2c3d4e"
    command = [*PROGRAM, "discard", f"--folder={folder}"]
    pipe = subprocess.PIPE
    with _fetching(folder, shop.uri) as first:
        assert shop.asked.wait(30)
        discarding = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        _until_waiting(discarding)
        shop.open.set()
        _ended(first)
    out, log = discarding.communicate(timeout=60)
    assert (discarding.returncode, out) == (0, f"Removed {folder}.\n"), log
    assert list(folder.parent.iterdir()) == []
    again = run_command("discard", f"--folder={folder}")
    assert (again.returncode, again.stdout) == (0, f"There was no {folder}.\n")
    assert _fetch(folder, shop.uri)["downloaded"] > 0


def test_a_folder_that_cannot_be_discarded(tmp_path: Path) -> None:
    """
    The failure is told in the termination message, and as the exit status.
    """
    said = tmp_path / "said"
    done = run_command("discard", "--folder=/proc/self/x", f"--termination-log={said}")
    assert done.returncode == 1
    assert "cannot be used" in said.read_text()
