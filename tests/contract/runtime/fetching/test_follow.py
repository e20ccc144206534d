"""
``modeldeploy-server follow`` beside a server: versions come and go while it runs.
"""

import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from testkit.model_servers import ModelServer, free_port, running

HALF, FIRST = "half_plus_two", "00000001"
CONFIG = """model_config_list {{ config {{
  name: "{name}" base_path: "{folder}" model_platform: "tensorflow"
  model_version_policy {{ all {{}} }}
}} }}
"""


@dataclass(slots=True)
class Pair:
    """
    A server, and what follows a list for it.
    """

    server: ModelServer
    list_file: Path
    port: int
    failed: list[int] = field(default_factory=list)

    def want(self, *entries: dict[str, Any]) -> None:
        """
        Write the list as a mounted ConfigMap is: by one rename.
        """
        draft = self.list_file.with_suffix(".draft")
        draft.write_text(json.dumps({"versions": entries}))
        draft.rename(self.list_file)

    def told(self) -> Any:
        """
        Ask what came of the list.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/versions", timeout=5) as answer:
            return json.load(answer)

    def is_told(self, version: str, code: str) -> bool:
        """
        Ask whether this is what came of a version.
        """
        return bool(self.told()["versions"].get(version, {}).get("code") == code)

    @contextmanager
    def load(self, version: int) -> Iterator[None]:
        """
        Ask for a version again and again meanwhile.
        """
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                answer = self.server.predict(f"{HALF}/versions/{version}", {"instances": [1.0]})
                self.failed += [answer.status] if answer.status != 200 else []

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


@contextmanager
def _pair(models: Path, folder: Path) -> Iterator[Pair]:
    served = folder / "served"
    config = folder / "models.config"
    config.write_text(CONFIG.format(name=HALF, folder=served))
    port, list_file = free_port(), folder / "versions.json"
    where = [f"--uri=file://{models}/{HALF}", f"--to={served}", f"--wanted={list_file}"]
    program = [sys.executable, "-m", "modeldeploy_runtime", "follow", *where, f"--port={port}"]
    program.append("--platform=tensorflow")
    flags = [f"--model_config_file={config}", "--file_system_poll_wait_seconds=1"]
    with running(folder, *flags, "--max_num_load_retries=0") as server:
        pair = Pair(server, list_file, port)
        pair.want({"version": FIRST})
        with (folder / "follow.log").open("w") as log:
            follower = subprocess.Popen(program, stdout=log, stderr=log)
        try:
            server.wait_ready()
            yield pair
        finally:
            follower.terminate()
            assert follower.wait(20) == 143


def test_versions_come_and_go_while_the_server_runs(models: Path, tmp_path: Path) -> None:
    """
    A version is loaded beside the served one and unloaded again, and nobody's request fails.
    """
    with _pair(models, tmp_path) as pair:
        with pair.load(1):
            pair.want({"version": FIRST}, {"version": "2"})
            pair.server.wait_state(HALF, 2, "AVAILABLE")
            assert pair.told()["held"] == [FIRST, "2"]
            assert pair.told()["versions"]["2"]["digest"].startswith("sha256:")
            pair.want({"version": FIRST})
            pair.server.wait(lambda: pair.told()["held"] == [FIRST], "the removal")
            pair.server.wait(
                lambda: (
                    pair.server.get(f"/v1/models/{HALF}/versions/2").status == 404
                    or '"END"' in pair.server.get(f"/v1/models/{HALF}/versions/2").body.decode()
                ),
                "the unload",
            )
        assert pair.failed == []


def test_what_cannot_be_fetched_is_told_and_leaves_the_rest_alone(
    models: Path, tmp_path: Path
) -> None:
    """
    A missing version, other contents, a wrong interface: each is told, and none is ever loaded.
    """
    with _pair(models, tmp_path) as pair:
        metadata = pair.server.get(f"/v1/models/{HALF}/versions/1/metadata").json
        other = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
        other["inputs"] = {"nobody": next(iter(other["inputs"].values()))}
        (tmp_path / "interface-x.json").write_text(json.dumps(metadata))
        with pair.load(1):
            wrong: tuple[tuple[dict[str, Any], str], ...] = (
                ({"version": "77"}, "VersionNotFound"),
                ({"version": "2", "digest": "sha256:" + "0" * 64}, "ContentChanged"),
                ({"version": "2", "against": "interface-x.json"}, "SignatureIncompatible"),
                ({"version": "2", "required": ["nobody"]}, "SignatureMissing"),
            )
            for entry, code in wrong:
                pair.want({"version": FIRST}, entry)
                version = entry["version"]
                pair.server.wait(partial(pair.is_told, version, code), code)
                assert pair.told()["held"] == [FIRST]
            pair.want({"version": FIRST}, {"version": "../1"})
            pair.server.wait(lambda: pair.told()["problem"], "the problem of the list")
            assert pair.told()["held"] == [FIRST]
            pair.want({"version": FIRST}, {"version": "2"})
            pair.server.wait_state(HALF, 2, "AVAILABLE")
        assert pair.failed == []


def test_files_of_another_platform_fail_for_good(models: Path, tmp_path: Path) -> None:
    """
    The platform that is asked for holds for every version of the list.
    """
    source = tmp_path / "source"
    shutil.copytree(models / HALF, source / HALF)
    (source / HALF / "7").mkdir()
    (source / HALF / "7" / "model.onnx").write_bytes(b"onnx")
    with _pair(source, tmp_path) as pair:
        pair.want({"version": FIRST}, {"version": "7"})
        pair.server.wait(partial(pair.is_told, "7", "ModelUnusable"), "ModelUnusable")
        assert pair.told()["held"] == [FIRST]
