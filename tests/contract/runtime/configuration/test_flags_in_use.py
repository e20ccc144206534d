"""
Flags of TensorFlow Serving on running servers: what they change, and what says that they do not.
"""

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from testkit.model_servers import Answer, ModelServer, run_command, running

METRICS = "/monitoring/prometheus/metrics"
WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")

FOREIGN = (
    "--use_alts_credentials=true",
    "--platform_config_file=/nowhere",
    "--thread_pool_factory_config_file=/nowhere",
    "--flush_filesystem_caches=false",
    "--remove_unused_fields_from_bundle_metagraph=false",
    "--enable_profiler=false",
    "--per_process_gpu_memory_fraction=0.5",
    "--xla_gpu_compilation_enabled",
    "--skip_initialize_tpu=true",
    "--prefer_tflite_model",
    "--num_tflite_pools=2",
    "--num_tflite_interpreters_per_pool=2",
)


@pytest.fixture(scope="module")
def flagged(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server with most flags, and a model without a name of its own that has a bad warm-up file.
    """
    folder = tmp_path_factory.mktemp("flagged")
    version = folder / "model" / "1"
    shutil.copytree(models / "crowd" / "alone" / "1", version)
    (version / WARM_UP).parent.mkdir()
    (version / WARM_UP).write_text("This is no TFRecord.")
    (version / "_SUCCESS").touch()
    batching, monitoring = folder / "batching.txt", folder / "monitoring.txt"
    batching.write_text("num_batch_threads { value: 1 } max_batch_size { value: 4 }")
    monitoring.write_text("prometheus_config { enable: true }")
    flags = (
        f"--model_base_path={folder}/model",
        "--enable_batching",
        f"--batching_parameters_file={batching}",
        f"--monitoring_config_file={monitoring}",
        "--enable_model_warmup=false",
        "--rest_api_timeout_in_ms=400",
        "--tensorflow_session_parallelism=3",
        "--num_unload_threads=1",
        "--saved_model_tags=serve",
        *FOREIGN,
    )
    with running(folder, *flags) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def stub(flagged: ModelServer) -> Iterator[Any]:
    """
    The stock stub.
    """
    with grpc.insecure_channel(flagged.target) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _toil(count: int) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "default", "toil"
    request.inputs["n"].CopyFrom(tf.make_tensor_proto(np.array([count], np.int32)))
    return request


@pytest.mark.parametrize("flag", FOREIGN)
def test_flags_without_effect(flagged: ModelServer, flag: str) -> None:
    """
    A flag that cannot mean anything here is taken, and one line says why it has no effect.
    """
    name = flag.partition("=")[0]
    assert flagged.log.count(f"{name} has no effect here: ") == 1


def test_flags_with_effect_are_not_told_of(flagged: ModelServer) -> None:
    """
    No other flag is warned of, and the model is called "default".
    """
    assert flagged.log.count(" has no effect") == len(FOREIGN)
    answer = flagged.predict("default", {"inputs": {"x": [1.0]}})
    assert (answer.status, answer.json["outputs"]["y"]) == (200, [2.0])
    assert "Replayed" not in flagged.log


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", METRICS, 200, "text/plain"),
        ("HEAD", METRICS, 200, "text/plain"),
        ("GET", f"{METRICS}?name=value", 200, "text/plain"),
        ("GET", f"{METRICS}/", 404, "application/json"),
        ("POST", METRICS, 405, "application/json"),
    ],
)
def test_metrics_at_the_usual_path(
    flagged: ModelServer, method: str, path: str, status: int, kind: str
) -> None:
    """
    A file without a path leaves the metrics where they are; they are for reading.
    """
    answer = flagged.request(method, path)
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (status, kind)


def test_patience_that_ends_in_the_batch_queue(flagged: ModelServer, stub: Any) -> None:
    """
    Who waits over REST for a batch longer than the flag allows is told so, and is not computed.
    """
    with ThreadPoolExecutor(1) as pool:
        toil = pool.submit(stub.Predict, _toil(800_000), 60)

        def refused() -> Answer | None:
            answer = flagged.predict("default", {"inputs": {"x": [1.0]}})
            return None if answer.status == 200 else answer

        answer = flagged.wait(refused, "a refusal")
        assert (answer.status, answer.error) == (
            429,
            "Run() timeout exceeded while waiting in batching queue",
        )
        assert toil.result().outputs["y"].float_val


@pytest.mark.parametrize(
    ("name", "bounds", "first"),
    [
        ("queuing_latency", 52, ["100", "120", "144"]),
        ("padding_size", 14, ["1", "2", "4"]),
        ("input_batch_size", 14, ["1", "2", "4"]),
        ("processed_batch_size", 14, ["1", "2", "4"]),
    ],
)
def test_buckets_of_batching(
    flagged: ModelServer, name: str, bounds: int, first: list[str]
) -> None:
    """
    The buckets are TensorFlow Serving's, and the infinite one.
    """
    assert flagged.predict("default", {"inputs": {"x": [1.0]}}).status == 200
    start = f":tensorflow:serving:batching_session:{name}_bucket{{"
    lines = flagged.get(METRICS).body.decode().splitlines()
    found = [re.search('le="(.*?)"', line) for line in lines if line.startswith(start)]
    limits = list(dict.fromkeys(match[1] for match in found if match))
    assert (limits[:3], limits[-1], len(limits)) == (first, "+Inf", bounds + 1)


@pytest.fixture(scope="module")
def closed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """
    A server that is asked for a graph that no model has, and for no metrics.
    """
    folder = tmp_path_factory.mktemp("closed")
    monitoring = folder / "monitoring.txt"
    monitoring.write_text("prometheus_config { enable: false }")
    flags = (
        f"--model_base_path={models}/half_plus_two",
        "--model_name=half",
        f"--monitoring_config_file={monitoring}",
        "--saved_model_tags=serve,gpu",
    )
    with running(folder, *flags) as server:
        server.wait_state("half", 2, "END")
        yield server


def test_tags_that_no_graph_has(closed: ModelServer) -> None:
    """
    The load fails, the status names the tags, and the server goes on.
    """
    [found] = closed.get("/v1/models/half").json["model_version_status"]
    assert "could not be found in SavedModel" in found["status"]["error_message"]
    assert "gpu" in found["status"]["error_message"]
    assert closed.predict("half", {"instances": [1.0]}).status == 404


def test_no_metrics(closed: ModelServer) -> None:
    """
    A file that does not enable them turns the metrics off.
    """
    assert closed.get(METRICS).status == 404


def test_two_methods_and_labels(closed: ModelServer) -> None:
    """
    A status knows no labels, and the metadata of an unknown label are refused.
    """
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name, status.model_spec.version_label = "half", "none"
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name, metadata.model_spec.version_label = "half", "none"
    with grpc.insecure_channel(closed.target) as channel:
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        known = models.GetModelStatus(status, timeout=30).model_version_status
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            predictions.GetModelMetadata(metadata, timeout=30)
    error: Any = caught.value
    assert [version.version for version in known] == [2]
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: none",
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--tensorflow_session_parallelism=2", "--tensorflow_intra_op_parallelism=1"],
            (
                "--tensorflow_session_parallelism sets both --tensorflow_intra_op_parallelism and "
                "--tensorflow_inter_op_parallelism and must not be given with either."
            ),
        ),
        (
            ["--port=0", "--rest_api_port=0"],
            "Either --port, --grpc_socket_path or --rest_api_port must be set.",
        ),
        (["--noenable_batching"], "Write --enable_batching=false."),
        (["--enable_batching=maybe"], '--enable_batching must be true or false, not "maybe".'),
        (["--mixed_precision=half"], '--mixed_precision must be bfloat16, not "half".'),
        (
            ["--per_process_gpu_memory_fraction=much"],
            '--per_process_gpu_memory_fraction must be a number, not "much".',
        ),
        (["--monitoring_config_file=/nowhere"], "--monitoring_config_file cannot be read: "),
        (["--tensorflow_session_config_file=/nowhere"], "/nowhere"),
    ],
)
def test_flags_that_end_the_server(flags: list[str], sentence: str) -> None:
    """
    What contradicts itself or cannot be read ends the program with one sentence.
    """
    result = run_command("--model_base_path=/nowhere", *flags)
    assert result.returncode == 255
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
