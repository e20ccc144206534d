"""
``modeldeploy-server fetch`` against real storages: an S3 server, an HTTP server, claims, folders.
"""

import http.server
import json
import random
import shutil
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from testkit.fetches import fetch, same
from testkit.model_servers import run_command, running

HALF = "half_plus_two"
BUCKET = "models"


def test_every_storage_gives_the_same(
    models: Path, s3: dict[str, str], web: str, tmp_path: Path
) -> None:
    """
    The same version has the same digest, whichever storage it comes from.
    """
    claim = tmp_path / "pvc" / "models"
    shutil.copytree(models / HALF, claim / "team" / HALF)
    sources: list[tuple[str, dict[str, str]]] = [
        (f"s3://{BUCKET}/team/{HALF}", s3),
        (f"{web}/{HALF}", {}),
        (f"{web}/{HALF}/", {}),
        (f"pvc://models/team/{HALF}", {}),
        (f"file://{models}/{HALF}", {}),
        (f"{models}/{HALF}", {}),
    ]
    digests = set()
    for number, (uri, environ) in enumerate(sources):
        folder = tmp_path / f"to-{number}"
        folder.mkdir()
        outcome = fetch(folder, uri, "2", f"--pvc_root={tmp_path}/pvc", **environ)
        assert (outcome.status, outcome.report["code"]) == (0, "Fetched"), outcome.log
        assert outcome.report["permanent"] is False
        assert outcome.report["files"] == 4
        assert same(models / HALF / "2", outcome.folder)
        assert sorted(path.name for path in folder.iterdir()) == ["2", "termination-log"]
        digests.add(outcome.report["digest"])
    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")


def test_what_was_fetched_is_served(models: Path, tmp_path: Path) -> None:
    """
    A server finds a fetched version complete without waiting for a second look at it.
    """
    fetch(tmp_path, str(models / HALF))
    flags = [f"--model_name={HALF}", f"--model_base_path={tmp_path}"]
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        assert server.predict(HALF, {"instances": [1.0]}).headers["x-model-version"] == "2"


def test_second_fetch(models: Path, tmp_path: Path) -> None:
    """
    A version that is there already is not fetched again; a known digest needs no storage at all.
    """
    first = fetch(tmp_path, str(models / HALF))
    marker = first.folder.stat().st_ino
    again = fetch(tmp_path, str(models / HALF))
    assert "was here already" in again.report["message"]
    digest = first.report["digest"]
    away = fetch(tmp_path, "http://127.0.0.1:9/away", "2", f"--digest={digest}")
    assert (away.status, away.report["digest"]) == (0, digest)
    assert away.folder.stat().st_ino == marker


def test_damaged_cache_is_mended(models: Path, tmp_path: Path) -> None:
    """
    Contents that are not what the digest says are fetched anew.
    """
    first = fetch(tmp_path, str(models / HALF))
    (first.folder / "saved_model.pb").write_bytes(b"damaged")
    mended = fetch(tmp_path, str(models / HALF), "2", f"--digest={first.report['digest']}")
    assert (mended.status, mended.report["digest"]) == (0, first.report["digest"])
    assert same(models / HALF / "2", mended.folder)


def test_other_contents(models: Path, tmp_path: Path) -> None:
    """
    Contents with another digest than the one expected are refused for good.
    """
    outcome = fetch(tmp_path, str(models / HALF), "2", "--digest=sha256:00")
    assert (outcome.status, outcome.report["code"]) == (2, "ContentChanged")
    assert outcome.report["permanent"] is True
    assert not outcome.folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["termination-log"]


@pytest.mark.parametrize(
    ("uri", "version", "code", "status"),
    [
        ("s3://models/team/half_plus_two", "9", "VersionNotFound", 2),
        ("s3://models/team/none", "1", "VersionNotFound", 2),
        ("s3://none/team/half_plus_two", "1", "StorageNotFound", 2),
        ("s3://models/team/incomplete", "1", "Incomplete", 1),
        ("s3://models/team/broken", "1", "ModelUnusable", 2),
        ("{web}/half_plus_two", "9", "VersionNotFound", 2),
        ("{web}/secret", "1", "AccessDenied", 1),
        ("{web}/ill", "1", "StorageUnavailable", 1),
        ("{web}/incomplete", "1", "Incomplete", 1),
        ("http://127.0.0.1:9/models", "1", "StorageUnavailable", 1),
        ("pvc://none/models", "1", "StorageNotFound", 2),
        ("{models}/half_plus_two", "9", "VersionNotFound", 2),
        ("{models}/none", "1", "StorageNotFound", 2),
        ("{models}/incomplete", "1", "Incomplete", 1),
        ("{models}/broken", "1", "ModelUnusable", 2),
        ("ftp://host/models", "1", "InvalidURI", 2),
        ("models", "1", "InvalidURI", 2),
        ("s3://", "1", "InvalidURI", 2),
        ("{models}/half_plus_two", "../1", "InvalidURI", 2),
    ],
)
def test_failures(  # noqa: PLR0917 - the columns of the table, and what they need
    models: Path,
    s3: dict[str, str],
    web: str,
    tmp_path: Path,
    uri: str,
    version: str,
    code: str,
    status: int,
) -> None:
    """
    Each failure has its code, says whether it stays, and leaves nothing behind.
    """
    uri = uri.format(models=models, web=web)
    outcome = fetch(tmp_path, uri, version, f"--pvc_root={tmp_path}/pvc", **s3)
    assert (outcome.report["code"], outcome.status) == (code, status), outcome.report
    assert outcome.report["permanent"] is (status == 2)
    assert outcome.report["message"].endswith((".", '"', ")", "'", "/", "]"))
    assert [path.name for path in tmp_path.iterdir()] == ["termination-log"]


@pytest.mark.parametrize(
    "environ",
    [{"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "nobody"}],
    ids=["secret", "key"],
)
def test_wrong_credentials(s3: dict[str, str], tmp_path: Path, environ: dict[str, str]) -> None:
    """
    Wrong credentials may become right, so that their failure may pass.
    """
    outcome = fetch(tmp_path, f"s3://{BUCKET}/team/{HALF}", "2", **{**s3, **environ})
    assert (outcome.report["code"], outcome.status) == ("AccessDenied", 1), outcome.report


def test_endpoint_for_s3_alone(s3: dict[str, str], tmp_path: Path) -> None:
    """
    ``AWS_ENDPOINT_URL_S3`` goes before ``AWS_ENDPOINT_URL``, as in the SDKs.
    """
    environ = {**s3, "AWS_ENDPOINT_URL_S3": s3["AWS_ENDPOINT_URL"]}
    environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    assert fetch(tmp_path, f"s3://{BUCKET}/team/{HALF}", "2", **environ).status == 0


def test_full_disk(models: Path, tmp_path: Path) -> None:
    """
    Where there is no room, nothing is begun.
    """
    large = tmp_path / "large"
    shutil.copytree(models / HALF / "2", large / "1")
    with (large / "1" / "assets.bin").open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).total * 2)
    target = tmp_path / "to"
    target.mkdir()
    outcome = fetch(target, str(large), "1")
    assert (outcome.report["code"], outcome.status) == ("NoSpace", 1)


def test_unwritable_target(models: Path, tmp_path: Path) -> None:
    """
    A folder that cannot be written is told apart from a storage that cannot be read.
    """
    result = run_command(
        "fetch", f"--uri={models}/{HALF}", "--version=2", "--to=/proc/nowhere", "--log_format=json"
    )
    assert result.returncode != 0
    assert "Writing to /proc/nowhere" in json.loads(result.stdout)["message"]


def test_manifest(models: Path, tmp_path: Path) -> None:
    """
    A manifest says what belongs to a version, and what is missing.
    """
    source = tmp_path / "source"
    shutil.copytree(models / HALF / "2", source / "2")
    files = {
        path.relative_to(source / "2").as_posix(): {"size": path.stat().st_size}
        for path in (source / "2").rglob("*")
        if path.is_file()
    }
    manifest = source / "2" / "modeldeploy-manifest.json"
    manifest.write_text(json.dumps({"files": files}))
    assert fetch(tmp_path, str(source)).status == 0
    shutil.rmtree(tmp_path / "2")
    manifest.write_text(json.dumps({"files": {**files, "assets/more": {"size": 1}}}))
    outcome = fetch(tmp_path, str(source))
    assert outcome.report["code"] == "Incomplete"
    assert "assets/more is missing" in outcome.report["message"]


def test_a_large_file_of_a_plain_web_server(models: Path, web: str, tmp_path: Path) -> None:
    """
    Python's own server gives out no parts of files, and lists its folders: it will do.
    """
    large = models / "large" / "1"
    shutil.copytree(models / HALF / "2", large)
    (large / "assets").mkdir(exist_ok=True)
    contents = random.Random(7).randbytes(11 << 20)
    (large / "assets" / "vocabulary").write_bytes(contents)
    try:
        outcome = fetch(tmp_path, f"{web}/large", version="1")
        assert (outcome.status, outcome.report["code"]) == (0, "Fetched")
        assert (tmp_path / "1" / "assets" / "vocabulary").read_bytes() == contents
    finally:
        shutil.rmtree(models / "large")


def _slow(
    graph: bytes, asked: threading.Event, released: threading.Event
) -> type[http.server.BaseHTTPRequestHandler]:
    """
    Build a handler that stops in the middle of the graph.
    """

    class Slow(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def _head(self, length: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def do_HEAD(self) -> None:
            self._head(len(graph))

        def do_GET(self) -> None:
            if self.path.endswith(".json"):
                self.send_error(404)
            elif self.path.endswith("/"):
                page = b'<a href="saved_model.pb">saved_model.pb</a>'
                self._head(len(page))
                self.wfile.write(page)
            else:
                self._head(len(graph))
                self.wfile.write(graph[:100])
                self.wfile.flush()
                asked.set()
                released.wait(60)

    return Slow


def test_signal(models: Path, tmp_path: Path) -> None:
    """
    SIGTERM in the middle of a download ends it, clears up, and is no success.
    """
    graph = (models / HALF / "2" / "saved_model.pb").read_bytes()
    asked = threading.Event()
    released = threading.Event()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _slow(graph, asked, released)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        uri = f"http://127.0.0.1:{server.server_address[1]}/m"
        command = [sys.executable, "-m", "modeldeploy_runtime", "fetch", f"--uri={uri}"]
        command += ["--version=1", f"--to={tmp_path}"]
        with (tmp_path / "log").open("wb") as log:
            fetching = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            assert asked.wait(30)
            fetching.terminate()
            assert fetching.wait(20) == 128 + 15
        finally:
            fetching.kill()
            fetching.wait()
            released.set()
            server.shutdown()
            thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_fetch_does_not_load_tensorflow() -> None:
    """
    Fetching starts fast: TensorFlow and the server stay out of it.
    """
    code = (
        "import sys; from modeldeploy_runtime.fetching import command; "
        "print(sorted({'tensorflow', 'grpc', 'httptools', 's3fs', 'numpy'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout.strip() == b"[]"


def test_the_platform_that_is_asked_for(models: Path, tmp_path: Path) -> None:
    """
    Files of another kind fail for good where a platform is asked for; half of one may still come.
    """
    source, asked = tmp_path / "source", "--platform=tensorflow"
    shutil.copytree(models / HALF / "2", source / "2")
    assert fetch(tmp_path, str(source), "2", asked).status == 0
    shutil.rmtree(tmp_path / "2")
    (source / "2" / "saved_model.pb").unlink()
    assert fetch(tmp_path, str(source), "2", asked).report["code"] == "Incomplete"
    (source / "2" / "model.onnx").write_bytes(b"onnx")
    outcome = fetch(tmp_path, str(source), "2", asked)
    assert (outcome.report["code"], outcome.status) == ("ModelUnusable", 2)
    assert "model.onnx" in outcome.report["message"]
    assert fetch(tmp_path, str(source)).report["code"] == "Incomplete"
