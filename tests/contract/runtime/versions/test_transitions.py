"""
Versions that come and go under a running server, and folders that are not as they should be.
"""

import itertools
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_service_pb2_grpc,
)

from testkit.model_servers import ModelServer, running

HALF = "half_plus_two"


def _place(source: Path, base: Path, version: int) -> None:
    """
    Put a version into place at once, as everybody should.
    """
    base.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, base / f".{version}")
    (base / f".{version}").rename(base / str(version))


CONFIG = """
config {{ name: "{name}" base_path: "{folder}/{name}" model_platform: "tensorflow" }}
"""
NAMES = ("swapped", "broken", "copied", "witness", "absent", "emptied")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder of the base paths, none of which is there at first.
    """
    return tmp_path_factory.mktemp("transitions")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ModelServer]:
    """
    A server that looks for a model of each test.
    """
    entries = "".join(CONFIG.format(name=name, folder=folder) for name in NAMES)
    (folder / "models.config").write_text(f"model_config_list {{ {entries} }}")
    with running(folder, f"--model_config_file={folder}/models.config") as started:
        started.wait(lambda: started.get("/healthz").status == 200, "the port")
        yield started


class _Load:
    """
    Clients that ask without a pause over REST and gRPC, and note every failure.
    """

    def __init__(self, server: ModelServer, model: str) -> None:
        self._server = server
        self._model = model
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._rest), threading.Thread(target=self._grpc)]
        self.failures: list[str] = []
        self.versions: set[tuple[str, int]] = set()
        self.requests = itertools.count()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)

    def _rest(self) -> None:
        while not self._stopped.is_set():
            try:
                answer = self._server.predict(self._model, {"instances": [1.0]})
                if answer.status != 200:
                    self.failures.append(f"{answer.status}: {answer.body!r}")
                else:
                    self.versions.add(("REST", int(answer.headers["x-model-version"])))
            except OSError as error:
                self.failures.append(repr(error))
            next(self.requests)

    def _grpc(self) -> None:
        with grpc.insecure_channel(self._server.target) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            request = predict_pb2.PredictRequest()
            request.model_spec.name = self._model
            request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones(1, np.float32)))
            while not self._stopped.is_set():
                try:
                    response = stub.Predict(request, timeout=30)
                    self.versions.add(("GRPC", response.model_spec.version.value))
                except grpc.RpcError as error:
                    self.failures.append(repr(error))
                next(self.requests)


@pytest.mark.requirement("row-8")
def test_swap_under_load(models: Path, server: ModelServer, folder: Path) -> None:
    """
    New versions take over while clients ask without a pause, and no request fails.
    """
    base, source = folder / "swapped", models / HALF / "2"
    _place(source, base, 1)
    server.wait_state("swapped", 1, "AVAILABLE")
    with _Load(server, "swapped") as load:
        for version in (2, 3, 4):
            _place(source, base, version)
            server.wait_state("swapped", version, "AVAILABLE")
            server.wait_state("swapped", version - 1, "END")
        wanted = {(api, version) for api in ("REST", "GRPC") for version in (1, 2, 3, 4)}
        server.wait(lambda: load.failures or load.versions >= wanted, "answers of all versions")
    assert load.failures == []


def test_broken_version_leaves_the_old_one(models: Path, server: ModelServer, folder: Path) -> None:
    """
    A newer version that cannot be loaded is at its end, and the older one goes on answering.
    """
    _place(models / HALF / "2", folder / "broken", 1)
    server.wait_state("broken", 1, "AVAILABLE")
    _place(models / "broken" / "1", folder / "broken", 2)
    server.wait_state("broken", 2, "END")
    assert server.predict("broken", {"instances": [1.0]}).headers["x-model-version"] == "1"
    assert "broken" not in server.get("/readyz").json["reasons"]


def test_incomplete_version_waits(models: Path, server: ModelServer, folder: Path) -> None:
    """
    A version whose files are still being copied is taken only when the last one is there.
    """
    base = folder / "copied"
    _place(models / HALF / "2", base, 1)
    server.wait_state("copied", 1, "AVAILABLE")
    shutil.copytree(models / "incomplete" / "1", base / "2")
    server.wait(lambda: "Version 2 is not complete" in server.log, "a warning")
    # It takes two looks and a load to serve another one, and this one is not served meanwhile.
    _place(models / HALF / "2", folder / "witness", 1)
    server.wait_state("witness", 1, "AVAILABLE")
    assert server.get("/v1/models/copied/versions/2").status == 404
    shard = "variables/variables.data-00000-of-00001"
    shutil.copy(models / HALF / "00000001" / shard, base / "2" / shard)
    server.wait_state("copied", 2, "AVAILABLE")


@pytest.mark.parametrize(
    ("name", "word"), [("absent", "cannot be read"), ("emptied", "No version was found")]
)
def test_storage_that_is_away(
    models: Path, server: ModelServer, folder: Path, name: str, word: str
) -> None:
    """
    A base path may come late, go away or be empty for a while: it takes no model with it.
    """
    base = folder / name

    def warnings() -> int:
        return sum(word in line and f"{base}" in line for line in server.log.splitlines())

    def reasons() -> Any:
        return server.get("/readyz").json["reasons"]

    server.wait(lambda: "cannot be read" in reasons()[name], "a reason")
    _place(models / HALF / "2", base, 1)
    server.wait_state(name, 1, "AVAILABLE")
    before = warnings()
    base.rename(folder / f"{name}-away")
    if name == "emptied":
        base.mkdir()
    server.wait(lambda: warnings() > before, "a warning")
    assert server.predict(name, {"instances": [1.0]}).status == 200
    assert name not in reasons()
