"""
What a server that batches tells of its requests: as much as one that does not.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from testkit.model_servers import ModelServer, running

TRACE = "0af7651916cd43dd8448eb211c80319c"
SIZES = (2, 4)
ROWS = [8.0, 1.0, 2.0]


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder with the files of the request log.
    """
    return tmp_path_factory.mktemp("batched")


@pytest.fixture(scope="module")
def batched(models: Path, logs: Path, collector: Any) -> Iterator[ModelServer]:
    """
    A server that fills batches up to two or four rows, and tells everything.
    """
    file = logs / "parameters.txt"
    file.write_text("max_batch_size { value: 4 } allowed_batch_sizes: 2 allowed_batch_sizes: 4")
    flags = (
        "--model_name=half",
        f"--model_base_path={models}/half_plus_two",
        "--enable_batching",
        f"--batching_parameters_file={file}",
        "--synthetic_warmup",
        "--access_log=json",
        f"--otlp_endpoint={collector.url}",
        f"--request_logging_prefix={logs}/",
        "--request_logging_rate=1",
        "--request_logging_file_age=500ms",
    )
    with running(logs, *flags) as server:
        server.wait_ready()
        yield server


def _metrics(server: ModelServer) -> str:
    return server.get("/monitoring/prometheus/metrics").body.decode()


def test_a_warm_up_that_is_made_up_tries_each_batch_size(batched: ModelServer) -> None:
    """
    Before anybody has asked, each signature was run with as many rows as each allowed size.
    """
    name = ":tensorflow:serving:batching_session:processed_batch_size"
    [count] = [line for line in _metrics(batched).splitlines() if line.startswith(f"{name}_count")]
    [total] = [line for line in _metrics(batched).splitlines() if line.startswith(f"{name}_sum")]
    runs = int(float(count.split()[-1]))
    assert runs >= len(SIZES)
    assert runs % len(SIZES) == 0
    assert float(total.split()[-1]) == sum(SIZES) * runs / len(SIZES)


@pytest.mark.parametrize("entrypoint", ["REST", "GRPC"])
def test_a_batched_request_is_told_of_like_any_other(
    entrypoint: str, batched: ModelServer, logs: Path, collector: Any
) -> None:
    """
    Access log, latency inside the model, request log and spans know requests that were batched.
    """
    trace = TRACE if entrypoint == "REST" else TRACE[::-1]
    header = f"00-{trace}-b7ad6b7169203331-01"
    if entrypoint == "REST":
        asked = {"instances": ROWS}
        answer = batched.request("POST", "/v1/models/half:predict", asked, traceparent=header)
        assert answer.json == {"predictions": [7.0, 3.5, 4.0]}
    else:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "half"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(ROWS, tf.float32))
        with grpc.insecure_channel(batched.target) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            stub.Predict(request, timeout=30, metadata=[("traceparent", header)])

    def line() -> dict[str, Any] | None:
        lines = [json.loads(text) for text in batched.log.splitlines() if text.startswith("{")]
        return next((told for told in lines if told.get("trace_id") == trace), None)

    told = batched.wait(line, "a line of the access log")
    assert (told["entrypoint"], told["version"], told["code"]) == (entrypoint, "2", "OK")
    assert 0 < told["run_ms"] <= told["ms"]
    assert 'modeldeploy_run_duration_seconds_count{model="half"' in _metrics(batched)

    def spans() -> set[str]:
        return {span.name for span in collector.spans if span.trace_id.hex() == trace}

    names = {f"{entrypoint} predict", "queue", "run"}
    batched.wait(lambda: spans() == names, f"the spans {names}")

    def logged() -> int:
        records = [
            prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
            for file in sorted(logs.glob("*.tfrecord"))
            for record in tf.data.TFRecordDataset(str(file))
        ]
        return [tf.make_ndarray(asked.inputs["x"]).tolist() for asked in records].count(ROWS)

    batched.wait(lambda: logged() >= (1 if entrypoint == "REST" else 2), "the request log")
