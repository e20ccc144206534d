"""
Real storages: an S3 server, and an HTTP server that lists folders.
"""

import functools
import http.server
import os
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs

from modeldeploy_devcluster import settings, toolchain
from testkit import clouds
from testkit.model_servers import free_port

HALF = "half_plus_two"
KEYS = {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}


@pytest.fixture(scope="session")
def s3(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """
    A real S3 server with the models in it; the environment that leads there.
    """
    folder = tmp_path_factory.mktemp("s3")
    port = free_port()
    program = toolchain.ensure(settings.load(), "versitygw") / "versitygw"
    keys = {
        "ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    (folder / "buckets").mkdir()
    (folder / "meta").mkdir()
    command = [str(program), "--quiet", f"--port=127.0.0.1:{port}", "posix"]
    command += [f"--sidecar={folder}/meta", f"{folder}/buckets"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _fill_bucket(endpoint, models, folder / "log")
        yield {**KEYS, "AWS_ENDPOINT_URL": endpoint}
    finally:
        server.kill()
        server.wait()


def _fill_bucket(endpoint: str, models: Path, log: Path) -> None:
    store = s3fs.S3FileSystem(
        key=KEYS["AWS_ACCESS_KEY_ID"],
        secret=KEYS["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=endpoint,
        config_kwargs={"s3": {"addressing_style": "path"}},
        use_listings_cache=False,
    )
    clouds.make_bucket(store, log)
    clouds.upload(store, models, (HALF, "incomplete", "broken"), "team")


@pytest.fixture(scope="session")
def web(models: Path) -> Iterator[str]:
    """
    A real HTTP server that lists folders, over the models.
    """

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/secret"):
                self.send_error(403)
            elif self.path.startswith("/ill"):
                self.send_error(503)
            else:
                super().do_GET()

    handler = functools.partial(Quiet, directory=str(models))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
