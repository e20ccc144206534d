"""
Files of warm-up requests, line by line: one server, and a model for each kind of file.
"""

import re
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_log_pb2,
)

from testkit.model_servers import ModelServer, running

FILE = Path("1", "assets.extra", "tf_serving_warmup_requests")
NOT_TFRECORD = "Please verify your warmup data is in TFRecord format."
QUOTED = 'a"b\\c'


def _masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _record(payload: bytes) -> bytes:
    length = struct.pack("<Q", len(payload))
    return length + _masked(length) + payload + _masked(payload)


def _predict(model: str = "half_plus_two", signature: str = "", version: int = 0) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version:
        request.model_spec.version.value = version
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones(1, np.float32)))
    return _record(log.SerializeToString())


def _kind(field: int) -> bytes:
    """
    Write a PredictionLog of which only the kind is known.
    """
    return _record(bytes([field << 3 | 2, 0]))


# The bytes of the file, and the code and the text with which the load fails.
FAILURES: dict[str, tuple[bytes, str, str]] = {
    "text": (b"This is no TFRecord at all.", "DATA_LOSS", NOT_TFRECORD),
    "cut": (_predict()[:-2], "DATA_LOSS", NOT_TFRECORD),
    "flipped": (_predict()[:-1] + b"\xff", "DATA_LOSS", NOT_TFRECORD),
    "second_is_cut": (_predict() + _predict()[:20], "DATA_LOSS", NOT_TFRECORD),
    "no_message": (
        _record(b"\xff\xff\xff"),
        "INVALID_ARGUMENT",
        "Failed to parse warmup record: ",
    ),
    "too_many": (
        _predict() * 1001,
        "INVALID_ARGUMENT",
        "Number of warmup records exceeds the maximum (1000) at ",
    ),
    "session_run": (_kind(5), "UNIMPLEMENTED", "Unsupported log_type for warmup: 5"),
    "streamed": (_kind(7), "UNIMPLEMENTED", "Unsupported log_type for warmup: 7"),
    "no_kind": (_record(b""), "UNIMPLEMENTED", "Unsupported log_type for warmup: 0"),
    "no_inputs": (_kind(6), "INVALID_ARGUMENT", "input size does not match signature: 0!=1"),
    "other_signature": (
        _predict(signature="other"),
        "FAILED_PRECONDITION",
        'Serving signature key "other" not found.',
    ),
}
# The bytes of the file, if there is one, and how many records are replayed.
SUCCESSES: dict[str, tuple[bytes | None, int]] = {
    "no_file": (None, 0),
    "empty": (b"", 0),
    "other_model": (_predict("somebody_else", version=77), 1),
    "two": (_predict() * 2, 2),
    "the_most": (_predict() * 1000, 1000),
}


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The base paths.
    """
    folder = tmp_path_factory.mktemp("warm-up")
    rows = {**{n: row[0] for n, row in (FAILURES | SUCCESSES).items()}, "lineage": None}
    for name, content in rows.items():
        file = folder / name / FILE
        shutil.copytree(models / "half_plus_two" / "2", file.parents[1])
        file.parent.mkdir()
        if content is not None:
            file.write_bytes(content)
        (file.parents[1] / "_SUCCESS").touch()
    (folder / "lineage" / "1" / "assets.extra" / "mlmd_uuid").write_text("a-b-c")
    return folder


@pytest.fixture(scope="module")
def start(folder: Path) -> Callable[..., Any]:
    """
    Start a server with all of them.
    """
    names = {name: name for name in (*FAILURES, *SUCCESSES, "lineage")} | {
        QUOTED.replace("\\", "\\\\").replace('"', '\\"'): "no_file"
    }
    config = folder / "models.config"
    entries = "\n".join(
        f'config {{ name: "{name}" base_path: "{folder}/{path}" model_platform: "tensorflow" }}'
        for name, path in names.items()
    )
    config.write_text(f"model_config_list {{ {entries} }}")
    return lambda *flags: running(folder, f"--model_config_file={config}", *flags)


@pytest.fixture(scope="module")
def warmed(start: Callable[..., Any]) -> Iterator[ModelServer]:
    """
    A server that replays each record three times.
    """
    with start("--num_request_iterations_for_warmup=3") as server:
        yield server


@pytest.mark.parametrize(("name", "code", "text"), [(n, *row[1:]) for n, row in FAILURES.items()])
def test_bad_files_fail_the_load(
    warmed: ModelServer, folder: Path, name: str, code: str, text: str
) -> None:
    """
    The status has TensorFlow Serving's code and words over both transports, and no try is wasted.
    """
    warmed.wait_state(name, 1, "END")
    [found] = warmed.get(f"/v1/models/{name}").json["model_version_status"]
    assert found["status"]["error_code"] == code
    assert text in found["status"]["error_message"]
    if name == "too_many":
        assert f"{folder / name / FILE}" in found["status"]["error_message"]
    with grpc.insecure_channel(warmed.target) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        [status] = stub.GetModelStatus(request, timeout=30).model_version_status
    assert status.status.error_message == found["status"]["error_message"]
    assert f"{{name: {name} version: 1}} will be tried again" not in warmed.log


@pytest.mark.parametrize(("name", "count"), [(n, row[1]) for n, row in SUCCESSES.items()])
def test_good_files(warmed: ModelServer, folder: Path, name: str, count: int) -> None:
    """
    All records are read before the version is available; whose they were does not matter.
    """
    warmed.wait_state(name, 1, "AVAILABLE")
    assert warmed.predict(name, {"instances": [1.0]}).json == {"predictions": [3.5]}
    text = warmed.get("/monitoring/prometheus/metrics").body.decode()
    labels = f'{{model_path="{folder}/{name}/1",status="OK"}}'
    name = ":tensorflow:serving:model_warmup_records_read"
    found = [line for line in text.splitlines() if line.startswith(f"{name}{labels}")]
    assert found == ([f"{name}{labels} {count}"] if count else found[:1])


def test_each_record_is_replayed_as_often_as_asked(warmed: ModelServer) -> None:
    """
    Three times each, up to the one that fails; the requests of these tests come on top.
    """
    for name in SUCCESSES:
        warmed.wait_state(name, 1, "AVAILABLE")
    for name in FAILURES:
        warmed.wait_state(name, 1, "END")
    replayed = 3 * (sum(count for _, count in SUCCESSES.values()) + 1000 + 1)
    found = re.search(
        r"^:tensorflow:core:direct_session_runs\{} (\d+)$",
        warmed.get("/monitoring/prometheus/metrics").body.decode(),
        re.MULTILINE,
    )
    assert found
    assert replayed <= int(found[1]) < replayed + 100


def test_lineage_and_quotes_in_metrics(warmed: ModelServer) -> None:
    """
    A version with a file of its lineage has a series, and quotes in names are escaped.
    """
    warmed.wait_state("lineage", 1, "AVAILABLE")
    warmed.wait_state("a%22b%5Cc", 1, "AVAILABLE")
    assert warmed.predict("a%22b%5Cc", {"instances": [1.0]}).status == 200
    lines = warmed.get("/monitoring/prometheus/metrics").body.decode().splitlines()
    lineage = [line for line in lines if line.startswith(":tensorflow:serving:mlmd_map{")]
    assert lineage == [':tensorflow:serving:mlmd_map{model_name="lineage",version="1"} 0']
    counts = ':tensorflow:serving:request_count{model_name="a\\"b\\\\c",status="OK"} '
    assert [line for line in lines if line.startswith(counts)]


@pytest.mark.long
def test_no_warm_up(start: Callable[..., Any]) -> None:
    """
    With warm-up turned off nobody reads the files, good or bad.
    """
    with start("--enable_model_warmup=false") as server:
        for name in FAILURES:
            server.wait_state(name, 1, "AVAILABLE")
        assert "Replayed" not in server.log


@pytest.mark.long
def test_bad_files_that_do_not_matter(start: Callable[..., Any]) -> None:
    """
    Where a failure only warns, the version is served, and the log has the words.
    """
    with start("--warmup_failure=warn") as server:
        for name, (_, _, text) in FAILURES.items():
            server.wait_state(name, 1, "AVAILABLE")
            assert text in server.log
