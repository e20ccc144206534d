"""
What others may add and bring, all of it shown by one server.

Platforms and sources of installed packages, versions of any name, storages elsewhere, and the gate
for interfaces.
"""

import functools
import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from testkit.model_servers import ModelServer, running

PLUGIN = Path(__file__).parents[4] / "examples" / "linear"
CONFIG = """
model_config_list {{
  config {{ name: "named" base_path: "{folder}/named" model_platform: "tensorflow" }}
  config {{ name: "remote" base_path: "{web}/half_plus_two" model_platform: "tensorflow" }}
  config {{ name: "gated" base_path: "{folder}/gated" model_platform: "tensorflow" }}
  config {{ name: "line" base_path: "{folder}/line" model_platform: "linear" }}
  config {{ name: "fixed" base_path: "fixed://{folder}/line/7" model_platform: "linear" }}
}}
"""
NEW, OLD = "2024-11-05T10-00", "2024-9-30"


def _place(source: Path, base: Path, version: str) -> None:
    base.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, base / f".{version}")
    (base / f".{version}").rename(base / version)


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[str]:
    """
    A web server that lists its folders.
    """

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder into which the package of somebody else is installed.
    """
    target = tmp_path_factory.mktemp("packages")
    uv = Path(sys.executable).with_name("uv")
    flags = ["--quiet", "--offline", "--no-deps", "--no-build-isolation", "--target", str(target)]
    command = [str(uv), "pip", "install", "--python", sys.executable, *flags, str(PLUGIN)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The base paths.
    """
    folder = tmp_path_factory.mktemp("bases")
    for version in (OLD, NEW):
        _place(models / "half_plus_two" / "2", folder / "named", version)
    _place(models / "half_plus_two" / "2", folder / "gated", "1")
    _place(models / "half_plus_two" / "2", folder / "web" / "half_plus_two", "2")
    line = folder / "line" / "7"
    line.mkdir(parents=True)
    (line / "model.json").write_text(json.dumps({"slope": 2.0, "offset": 0.5}))
    return folder


@pytest.fixture(scope="module")
def serving(folder: Path, web: str, packages: Path) -> Iterator[ModelServer]:
    """
    The server with all of it.
    """
    config = folder / "models.config"
    config.write_text(CONFIG.format(folder=folder, web=web))
    flags = (
        f"--model_config_file={config}",
        f"--model_cache_dir={folder}/cache",
        "--version_names=any",
        "--refuse_incompatible_versions",
        "--storage_poll_longest_wait=1s",
        "--access_log=json",
        f"--request_logging_prefix={folder}/logged/",
        "--request_logging_rate=1",
        "--request_logging_file_age=1s",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(packages))
        with running(folder, *flags) as server:
            server.wait_ready()
            yield server


@pytest.fixture(scope="module")
def channel(serving: ModelServer) -> Iterator[grpc.Channel]:
    """
    A channel of the stock client.
    """
    with grpc.insecure_channel(serving.target) as opened:
        yield opened


def _request(model: str, **choice: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    if "version" in choice:
        request.model_spec.version.value = choice["version"]
    if "label" in choice:
        request.model_spec.version_label = choice["label"]
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([1.0, 2.0], np.float32)))
    return request


@pytest.mark.requirement("row-10")
@pytest.mark.parametrize(("model", "version"), [("line", "7"), ("fixed", "1")])
def test_a_platform_of_a_package(
    serving: ModelServer, channel: grpc.Channel, model: str, version: str
) -> None:
    """
    What a package adds is served over REST and gRPC, described, and counted like everything else.
    """
    answer = serving.predict(model, {"instances": [1.0, 2.0]})
    assert answer.json == {"predictions": [2.5, 4.5]}
    assert answer.headers["x-model-version"] == version
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    response = stub.Predict(_request(model), timeout=30)
    assert list(response.outputs["y"].float_val) == [2.5, 4.5]
    assert response.model_spec.version.value == int(version)
    described = serving.get(f"/v1/models/{model}/metadata").json["metadata"]
    assert described["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"][
        "dtype"
    ] == ("DT_FLOAT")
    assert f'model="{model}"' in serving.get("/monitoring/prometheus/metrics").body.decode()


def test_a_version_that_a_package_refuses(serving: ModelServer, folder: Path) -> None:
    """
    What a package's loader says of bad files stands in the status, and the old version stays.
    """
    bad = folder / "line" / "8"
    bad.mkdir()
    (bad / "model.json").write_text("{}")
    serving.wait_state("line", 8, "END")
    [said] = serving.get("/v1/models/line/versions/8").json["model_version_status"]
    assert "{name: line version: 8}" in said["status"]["error_message"]
    assert serving.predict("line", {"instances": [0.0]}).json == {"predictions": [0.5]}


def test_a_platform_stays(serving: ModelServer, channel: grpc.Channel, folder: Path) -> None:
    """
    A reload may not give a model another platform; it changes nothing then.
    """
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="line", base_path=f"{folder}/line", model_platform="tensorflow"
    )
    with pytest.raises(grpc.RpcError) as caught:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(
            request, timeout=30
        )
    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        (
            "Illegal to change a model's platform. For model line platform was linear and new "
            "platform requested is tensorflow"
        ),
    )
    assert serving.predict("line", {"instances": [0.0]}).json == {"predictions": [0.5]}


@pytest.mark.requirement("row-6")
def test_a_version_of_any_name(serving: ModelServer, channel: grpc.Channel) -> None:
    """
    A version is pinned by its name in the path, as a label, in a header, or by its number.
    """
    answer = serving.predict("named", {"instances": [1.0]})
    assert answer.headers["x-model-version"] == NEW
    assert serving.predict(f"named/versions/{NEW}", {"instances": [1.0]}).status == 200
    assert serving.predict(f"named/labels/{NEW}", {"instances": [1.0]}).status == 200
    gone = serving.predict(f"named/versions/{OLD}", {"instances": [1.0]})
    assert (gone.status, gone.error) == (
        404,
        f"Servable not found for request: Specific(named, {OLD})",
    )
    [status] = serving.get(f"/v1/models/named/versions/{NEW}").json["model_version_status"]
    number = int(status["version"])
    assert status["state"] == "AVAILABLE"
    assert 2**62 <= number < 2**63
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    for choice in ({}, {"version": number}, {"label": NEW}):
        response = stub.Predict(_request("named", **choice), timeout=30)
        assert response.model_spec.version_label == NEW
    metadata = (("x-model-version", NEW),)
    assert stub.Predict(_request("named"), timeout=30, metadata=metadata).outputs["y"]
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "named"
    [known] = (
        model_service_pb2_grpc.ModelServiceStub(channel)
        .GetModelStatus(request, timeout=30)
        .model_version_status
    )
    assert known.version == number


@pytest.mark.requirement("row-6")
def test_what_is_told_of_a_version_of_any_name(
    serving: ModelServer, channel: grpc.Channel, folder: Path
) -> None:
    """
    Lists, metadata, headers, metrics, both logs and errors call a version by its name.
    """
    [model] = [m for m in serving.get("/v1/models").json["models"] if m["name"] == "named"]
    assert [version["version"] for version in model["versions"]] == [NEW]
    full = serving.get(f"/v1/models/named/versions/{NEW}?view=full").json
    assert [version["version"] for version in full["versions"]] == [NEW]
    spec = serving.get(f"/v1/models/named/versions/{NEW}/metadata").json["model_spec"]
    assert spec == {"name": "named", "signature_name": "", "version_label": NEW}
    missing = serving.get("/v1/models/named/versions/none")
    assert (missing.status, missing.error) == (404, "Could not find version none of model named")
    answer, call = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict.with_call(
        _request("named", label=NEW), timeout=30, metadata=(("x-model-version", NEW),)
    )
    assert answer.model_spec.version_label == NEW
    assert ("x-model-version", NEW) in call.trailing_metadata()
    metrics = serving.get("/monitoring/prometheus/metrics").body.decode()
    assert f'model="named",signature="serving_default",version="{NEW}"' in metrics
    serving.wait(lambda: f'"version": "{NEW}"' in serving.log, "the access log")
    needle = NEW.encode()

    def is_logged() -> bool:
        return any(needle in file.read_bytes() for file in folder.glob("logged/*"))

    serving.wait(is_logged, "the request log")


@pytest.mark.requirement("row-6")
def test_a_label_is_no_version(serving: ModelServer, channel: grpc.Channel, folder: Path) -> None:
    """
    A configuration with a label that is called as a version is refused, and nothing changes.
    """
    request = model_management_pb2.ReloadConfigRequest()
    text = (folder / "models.config").read_text()
    text_format.Parse(text, request.config)
    named = next(c for c in request.config.model_config_list.config if c.name == "named")
    named.version_labels[NEW] = 1
    with pytest.raises(grpc.RpcError) as caught:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(
            request, timeout=30
        )
    error: Any = caught.value
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        f'Model named has the label "{NEW}", which is one of its versions.',
    )
    assert serving.predict(f"named/labels/{NEW}", {"instances": [1.0]}).status == 200


def test_a_storage_elsewhere(serving: ModelServer, folder: Path, models: Path) -> None:
    """
    Versions are brought to the cache while they are served, and removed from it when they are not.
    """
    answer = serving.predict("remote", {"instances": [1.0]})
    assert (answer.status, answer.headers["x-model-version"]) == (200, "2")
    [cached] = (folder / "cache").glob("remote-*/[!.]*")
    assert cached.name == "2"
    assert (cached / "variables" / "variables.index").is_file()
    elsewhere = folder / "web" / "half_plus_two"
    _place(models / "half_plus_two" / "2", elsewhere, "3")
    serving.wait_state("remote", 3, "AVAILABLE")
    serving.wait(lambda: not cached.exists(), "the cache without version 2")
    # A version that is deleted while another one is there goes; one that is only missed stays.
    shutil.rmtree(elsewhere / "3")
    serving.wait_state("remote", 2, "AVAILABLE")


def test_an_interface_that_breaks(serving: ModelServer, folder: Path, models: Path) -> None:
    """
    A new version without what clients use is refused with the differences; the old one stays.
    """
    _place(models / "sums" / "1", folder / "gated", "2")
    serving.wait_state("gated", 2, "END")
    [said] = serving.get("/v1/models/gated/versions/2").json["model_version_status"]
    assert said["status"]["error_code"] == "FAILED_PRECONDITION"
    assert (
        'In the signature "serving_default" the input "x" is gone.'
        in (said["status"]["error_message"])
    )
    assert serving.predict("gated", {"instances": [1.0]}).headers["x-model-version"] == "1"


def test_a_load_that_does_not_fit(models: Path, tmp_path: Path) -> None:
    """
    A load for which there is no memory ends with what it needs, what is free, and the limit.
    """
    flags = (
        "--model_name=half",
        f"--model_base_path={models}/half_plus_two",
        "--memory_limit_bytes=1048576",
        "--max_num_load_retries=0",
        "--version_transition_policy=resource_preserving",
    )
    with running(tmp_path, *flags) as server:
        server.wait_state("half", 2, "END")
        [said] = server.get("/v1/models/half/versions/2").json["model_version_status"]
        assert said["status"]["error_code"] == "RESOURCE_EXHAUSTED"
        assert "0.0 MiB of 1.0 MiB are free" in said["status"]["error_message"]
        assert "Insufficient resources" in server.get("/readyz").json["reasons"]["half"]
