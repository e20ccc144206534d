"""
Batching without a file of parameters: TensorFlow Serving's defaults.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from modeldeploy_runtime.loaders import cpus
from testkit.model_servers import Answer, ModelServer, running

METRICS = "/monitoring/prometheus/metrics"


def _toil() -> Any:
    """
    Make a request that outlasts the test.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "m", "toil"
    request.inputs["n"].CopyFrom(tf.make_tensor_proto(np.array([2_000_000_000], np.int32)))
    return request


def _waiting(server: ModelServer) -> dict[str, int]:
    """
    Tell how many rows of each signature wait.
    """
    text = server.get(METRICS).body.decode()
    found = re.findall(
        r'^modeldeploy_batch_queue_depth\{.*signature="(.*?)".*\} (\d+)', text, re.MULTILINE
    )
    return {signature: int(rows) for signature, rows in found}


def _runs(server: ModelServer) -> int:
    [runs] = re.findall(r'in_flight\{entrypoint="GRPC"\} (\d+)', server.get(METRICS).body.decode())
    return int(runs)


def test_defaults(models: Path, tmp_path: Path) -> None:
    """
    Batches of 1000 rows wait for nobody but a thread; each CPU has one, and ten batches may wait.
    """
    flags = ["--model_name=m", f"--model_base_path={models}/crowd/alone", "--enable_batching"]
    with (
        ThreadPoolExecutor(32) as pool,
        running(tmp_path, *flags) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        server.wait_ready()
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert server.predict("m", {"inputs": {"x": [1.0]}}).json["outputs"]["rows"] == [1]
        large = server.predict("m", {"inputs": {"x": [1.0] * 1001}})
        message = "Task size 1001 is larger than maximum input batch size 1000"
        assert (large.status, large.error) == (400, message)

        # Who forgets a call cancels it.
        toils: list[Any] = []
        for number in range(cpus.available()):
            toils.append(stub.Predict.future(_toil(), timeout=300))
            server.wait(
                lambda n=number + 1: _runs(server) == n and not _waiting(server).get("toil"),  # type: ignore[misc]  # its default is its type
                "a thread for each of them",
            )

        def ask() -> Answer | None:
            try:
                return server.predict("m", {"inputs": {"x": [1.0] * 1000}})
            except OSError:
                # Those who wait are cut off with the server.
                return None

        for number in range(1, 11):
            pool.submit(ask)
            server.wait(
                lambda n=number: _waiting(server)["serving_default"] == 1000 * n,  # type: ignore[misc]  # as above
                "one more batch that waits",
            )
        refused = server.predict("m", {"inputs": {"x": [1.0] * 1000}})
        assert (refused.status, refused.error) == (
            503,
            (
                "The batch scheduling queue to which this task was submitted is full; currently 10 "
                "batches enqueued and max_enqueued_batches is 10"
            ),
        )
        server.end()
