"""
``modeldeploy-server watch`` over real storages: what it finds, and that nothing makes it forget.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import s3fs

from testkit.model_servers import free_port, run_command

HALF = "half_plus_two"
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Watcher:
    """
    A watcher that runs.
    """

    process: "subprocess.Popen[bytes]"
    url: str

    def findings(self) -> dict[str, Any]:
        """
        Ask for what it found.
        """
        with urllib.request.urlopen(f"{self.url}/findings", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def until(self, what: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """
        Wait for findings in which something is so.
        """
        end = time.monotonic() + SECONDS
        found: dict[str, Any] = {}
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                found = self.findings()
                if what(found):
                    return found
            time.sleep(0.05)
        raise AssertionError(f"its findings are {found}")


@contextlib.contextmanager
def _watching(uri: str, *flags: str, **environ: str) -> Iterator[Watcher]:
    port = free_port()
    program = str(Path(sys.executable).with_name("modeldeploy-server"))
    command = [program, "watch", f"--uri={uri}", f"--port={port}", "--poll_interval=200ms", *flags]
    process = subprocess.Popen(command, env={**os.environ, **environ})
    try:
        yield Watcher(process, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


def _store(s3: dict[str, str]) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(
        key=s3["AWS_ACCESS_KEY_ID"],
        secret=s3["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=s3["AWS_ENDPOINT_URL"],
        config_kwargs={"s3": {"addressing_style": "path"}},
        use_listings_cache=False,
    )


def _upload(store: s3fs.S3FileSystem, source: Path, target: str) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            store.put(str(path), f"{target}/{path.relative_to(source)}")


def test_an_upload_to_s3_is_found_once_it_is_complete(models: Path, s3: dict[str, str]) -> None:
    """
    File by file: what lacks is told, what settles is waited for, and then it is complete.
    """
    store, base = _store(s3), "models/uploads"
    source = models / HALF / "2"
    with _watching(f"s3://{base}", "--settle_period=500ms", **s3) as watcher:
        empty = watcher.until(lambda found: found["looked"])
        assert (empty["complete"], empty["problem"]) == ([], None)
        store.put(str(source / "saved_model.pb"), f"{base}/7/saved_model.pb")
        store.put(str(source / "variables/variables.index"), f"{base}/7/variables/variables.index")
        lacking = watcher.until(lambda found: found["incomplete"])
        assert lacking["incomplete"] == [
            {"version": "7", "message": "The shards of its variables are missing."}
        ]
        _upload(store, source, f"{base}/7")
        assert watcher.until(lambda found: found["complete"])["complete"] == ["7"]
        _upload(store, source, f"{base}/8")
        store.touch(f"{base}/8/_SUCCESS")
        assert watcher.until(lambda found: found["complete"][0] == "8")["complete"] == ["8", "7"]
    store.rm(base, recursive=True)


def test_wrong_credentials_are_told(s3: dict[str, str]) -> None:
    """
    The code is that of a fetch, and the watcher goes on looking.
    """
    wrong = {**s3, "AWS_ACCESS_KEY_ID": "nobody"}
    with _watching("s3://models/team/half_plus_two", **wrong) as watcher:
        found = watcher.until(lambda found: found["problem"])
        assert found["problem"]["code"] == "AccessDenied"
        assert found["looked"] is False


def test_versions_behind_an_http_server_are_found(web: str) -> None:
    """
    The newest comes first.
    """
    uri = f"{web}/{HALF}"
    with _watching(uri, "--settle_period=300ms") as watcher:
        found = watcher.until(lambda found: len(found["complete"]) == 2)
        assert [int(version) for version in found["complete"]] == [2, 1]


def test_a_storage_that_fails_takes_nothing_away(models: Path, tmp_path: Path) -> None:
    """
    A claim that is gone for a while is told, with all that was known; it mends by itself.
    """
    base = tmp_path / "claim" / "team"
    shutil.copytree(models / HALF / "2", base / "2")
    flags = ("--settle_period=0s", f"--pvc_root={tmp_path}")
    with _watching("pvc://claim/team", *flags) as watcher:
        watcher.until(lambda found: found["complete"] == ["2"])
        base.rename(tmp_path / "away")
        found = watcher.until(lambda found: found["problem"])
        assert found["complete"] == ["2"]
        (tmp_path / "away").rename(base)
        assert watcher.until(lambda found: not found["problem"])["complete"] == ["2"]


def test_the_watcher_is_alive_and_ends_at_once(models: Path) -> None:
    """
    It answers its probe, knows no other paths, and SIGTERM ends it without an error.
    """
    with _watching(f"file://{models}/{HALF}") as watcher:
        watcher.until(lambda found: found["looked"])
        with urllib.request.urlopen(f"{watcher.url}/healthz", timeout=5) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{watcher.url}/", timeout=5)
        resident = Path(f"/proc/{watcher.process.pid}/statm").read_text().split()[1]
        assert int(resident) * 4096 < 200 << 20
        watcher.process.send_signal(signal.SIGTERM)
        assert watcher.process.wait(5) == 0


def test_a_uri_that_cannot_be_read_is_refused() -> None:
    """
    It ends with a sentence instead of looking for ever.
    """
    result = run_command("watch", "--uri=ftp://models")
    assert result.returncode == 2
    assert "ftp://models is not a URI of a model" in result.stderr
