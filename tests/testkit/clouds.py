"""
Stores that answer as Google's and Azure's do, and run on this machine while a test does.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from gcsfs.core import GCSFileSystem

from modeldeploy_devcluster import settings, toolchain
from testkit.model_servers import free_port

BUCKET = "models"
AZURITE = Path(__file__).parents[1] / "azurite"
ACCOUNT = "devstoreaccount1"
# Azurite's own, which its documentation gives to everybody.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def google(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """
    Run a store that answers as Google Cloud Storage does, with an empty bucket; give its URL.
    """
    program = toolchain.ensure(settings.load(), "fake-gcs-server") / "fake-gcs-server"
    address = f"{host}:{free_port()}"
    endpoint = f"http://{address}"
    command = [str(program), "-scheme=http", "-backend=memory", f"-host={host}"]
    command += [f"-port={address.rpartition(':')[2]}", f"-public-host={address}"]
    with _running([*command, f"-external-url={endpoint}"], folder / "log") as log:
        make_bucket(google_files(endpoint), log)
        yield endpoint


def google_files(endpoint: str) -> Any:
    """
    Open Google's stand-in as fsspec's file system.
    """
    return GCSFileSystem(token="anon", endpoint_url=endpoint)  # noqa: S106 - nobody's


@contextmanager
def azure(folder: Path) -> Iterator[str]:
    """
    Run a store that answers as Azure Blob Storage does; give its connection string.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm, "Azure's stand-in needs npm; install it with: apt-get install nodejs npm"
    assert node
    program, port = folder / "program", free_port()
    shutil.copytree(AZURITE, program)
    subprocess.run([npm, "ci", "--ignore-scripts"], cwd=program, check=True, capture_output=True)
    known = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY}"
    connection = f"{known};BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    command = [node, f"{program}/node_modules/azurite/dist/src/blob/main.js", "--silent"]
    command += ["--inMemoryPersistence", "--blobHost=127.0.0.1", f"--blobPort={port}"]
    # The library speaks a newer version than the stand-in knows; it uses nothing new of it.
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    try:
        with _running(command, folder / "log") as log:
            make_bucket(azure_files(connection), log)
            yield connection
    finally:
        shutil.rmtree(program)


def azure_files(connection: str) -> Any:
    """
    Open Azure's stand-in as fsspec's file system.
    """
    return fsspec.filesystem("abfs", connection_string=connection)


def upload(files: Any, root: Path, names: Iterable[str], target: str) -> None:
    """
    Put folders of a root below a path of the bucket.
    """
    for name in names:
        for path in (root / name).rglob("*"):
            if path.is_file():
                files.pipe(f"{BUCKET}/{target}/{path.relative_to(root)}", path.read_bytes())


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[Path]:
    # Whatever such a store leaves behind goes with the test's own folder.
    environ = {**os.environ, "TMPDIR": str(log.parent)}
    with log.open("wb") as file:
        server = subprocess.Popen(command, env=environ, stdout=file, stderr=file)
    try:
        yield log
    finally:
        server.kill()
        server.wait()


def make_bucket(files: Any, log: Path) -> None:
    """
    Make the bucket as soon as the store, whose log this is, answers.
    """
    end = time.monotonic() + 30
    while True:
        try:
            files.mkdir(BUCKET)
        except Exception as error:
            if time.monotonic() > end:
                raise AssertionError(log.read_text()) from error
            time.sleep(0.1)
        else:
            return
