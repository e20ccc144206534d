"""
Versions that come and go under a running server, and folders that are not as they should be.
"""

import itertools
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_log_pb2,
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


def _flags(base: Path, *more: str) -> list[str]:
    return [f"--model_name={HALF}", f"--model_base_path={base}", *more]


class _Load:
    """
    Clients that ask without a pause over REST and gRPC, and note every failure.
    """

    def __init__(self, server: ModelServer) -> None:
        self._server = server
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
                answer = self._server.predict(HALF, {"instances": [1.0]})
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
            request.model_spec.name = HALF
            request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones(1, np.float32)))
            while not self._stopped.is_set():
                try:
                    response = stub.Predict(request, timeout=30)
                    self.versions.add(("GRPC", response.model_spec.version.value))
                except grpc.RpcError as error:
                    self.failures.append(repr(error))
                next(self.requests)


@pytest.mark.requirement("row-8")
def test_swap_under_load(models: Path, tmp_path: Path) -> None:
    """
    New versions take over while clients ask without a pause, and no request fails.
    """
    base = tmp_path / HALF
    source = models / HALF / "2"
    _place(source, base, 1)
    with running(tmp_path, *_flags(base)) as server:
        server.wait_ready()
        with _Load(server) as load:
            for version in (2, 3, 4):
                _place(source, base, version)
                server.wait_state(HALF, version, "AVAILABLE")
                server.wait_state(HALF, version - 1, "END")
            time.sleep(0.2)
    assert load.failures == []
    assert load.versions >= {(api, version) for api in ("REST", "GRPC") for version in (1, 2, 3, 4)}


def test_unload_waits_for_requests(models: Path, tmp_path: Path) -> None:
    """
    A version that still answers a request is not unloaded under it.
    """
    base = tmp_path / "slow"
    _place(models / "slow" / "1", base, 1)
    flags = ["--model_name=slow", f"--model_base_path={base}"]
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        answers: list[Any] = []
        body = {"instances": [_iterations(server, 6.0)]}
        asking = threading.Thread(target=lambda: answers.append(server.predict("slow", body)))
        asking.start()
        time.sleep(0.3)
        _place(models / "slow" / "1", base, 2)
        server.wait_state("slow", 1, "UNLOADING")
        asking.join(60)
        server.wait_state("slow", 1, "END")
    assert answers[0].status == 200
    assert answers[0].headers["x-model-version"] == "1"


def _iterations(server: ModelServer, seconds: float) -> int:
    """
    Find out how far the slow model counts in so many seconds on this machine.
    """
    count = 20_000
    server.predict("slow", {"instances": [count]})
    started = time.monotonic()
    assert server.predict("slow", {"instances": [count]}).status == 200
    return int(count * seconds / (time.monotonic() - started))


def test_broken_version_leaves_the_old_one(models: Path, tmp_path: Path) -> None:
    """
    A newer version that cannot be loaded is at its end, and the older one goes on answering.
    """
    base = tmp_path / HALF
    _place(models / HALF / "2", base, 1)
    with running(tmp_path, *_flags(base)) as server:
        server.wait_ready()
        _place(models / "broken" / "1", base, 2)
        server.wait_state(HALF, 2, "END")
        assert server.predict(HALF, {"instances": [1.0]}).headers["x-model-version"] == "1"
        assert server.get("/readyz").status == 200


def test_incomplete_version_waits(models: Path, tmp_path: Path) -> None:
    """
    A version whose files are still being copied is taken only when the last one is there.
    """
    base = tmp_path / HALF
    _place(models / HALF / "2", base, 1)
    with running(tmp_path, *_flags(base)) as server:
        server.wait_ready()
        shutil.copytree(models / "incomplete" / "1", base / "2")
        server.wait(lambda: "Version 2 is not complete" in server.log, "a warning")
        time.sleep(2.5)
        assert server.get(f"/v1/models/{HALF}/versions/2").status == 404
        shard = "variables/variables.data-00000-of-00001"
        shutil.copy(models / HALF / "00000001" / shard, base / "2" / shard)
        server.wait_state(HALF, 2, "AVAILABLE")


@pytest.mark.parametrize("emptied", [False, True])
def test_storage_that_is_away(
    models: Path,
    tmp_path: Path,
    emptied: bool,  # noqa: FBT001 - a table's column
) -> None:
    """
    A base path may come late, go away or be empty for a while: it takes no model with it.
    """
    base = tmp_path / HALF
    with running(tmp_path, *_flags(base)) as server:
        server.wait(lambda: server.get("/healthz").status == 200, "the port")
        server.wait(
            lambda: "cannot be read" in server.get("/readyz").json["reasons"][HALF], "a reason"
        )
        _place(models / HALF / "2", base, 1)
        server.wait_ready()
        base.rename(tmp_path / "away")
        if emptied:
            base.mkdir()
        word = "No version was found" if emptied else "cannot be read"
        server.wait(lambda: server.log.count(word) > (not emptied), "a warning")
        assert server.predict(HALF, {"instances": [1.0]}).status == 200
        assert server.get("/readyz").status == 200


def test_warmup(models: Path, tmp_path: Path) -> None:
    """
    Recorded requests are replayed before a version is available; bad ones fail its load.
    """
    base = tmp_path / HALF
    for version, model in ((1, HALF), (2, "other-signature")):
        _place(models / HALF / "2", base, version)
        extra = base / str(version) / "assets.extra"
        extra.mkdir()
        _write_warmup(extra / "tf_serving_warmup_requests", model)
    flags = _flags(base, "--model_config_file=", "--num_request_iterations_for_warmup", "2")
    with running(tmp_path, *flags) as server:
        server.wait_state(HALF, 2, "END")
        (found,) = server.get(f"/v1/models/{HALF}/versions/2").json["model_version_status"]
        assert 'Serving signature key "other" not found.' in found["status"]["error_message"]
        shutil.rmtree(base / "2")
        server.wait_state(HALF, 1, "AVAILABLE")
        assert "Replayed 1 warm-up records" in server.log


def _write_warmup(path: Path, model: str) -> None:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model
    if model != HALF:
        request.model_spec.signature_name = "other"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones(1, np.float32)))
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
