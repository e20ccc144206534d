"""
The demo's clients: they go on asking, and count which version answered.
"""

import contextlib
import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import grpc


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """
    Keep what TensorFlow's libraries say of the processor out of the demo's output.
    """
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


sys.path.insert(0, str(Path(__file__).parents[1] / "digits"))
with _quiet():
    import tensorflow as tf
    from digits_data import load
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

PAUSE_SECONDS = 0.01


class Clients:
    """
    Threads that ask over REST and gRPC, from `with` until its end; each keeps its connection.
    """

    def __init__(self, rest: str, rpc: str, model: str, *, count: int = 2) -> None:
        self._rest, self._rpc, self._model = rest, rpc, model
        self._image = load().test_images[0]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._counts = self._nothing()
        self.failures: list[str] = []
        works = [self._over_rest] * count + [self._over_grpc] * count
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]

    @staticmethod
    def _nothing() -> dict[str, Counter[str]]:
        return {"rest": Counter(), "grpc": Counter()}

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def take(self) -> dict[str, Counter[str]]:
        """
        Return the answers since the last call, by protocol and version.
        """
        with self._lock:
            counts, self._counts = self._counts, self._nothing()
        return counts

    def ask_once(self) -> tuple[str, list[float]]:
        """
        Ask over REST for one image; return the version that answered and its scores.
        """
        connection = http.client.HTTPConnection(self._rest, timeout=30)
        try:
            return self._post(connection)
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection) -> tuple[str, list[float]]:
        body = json.dumps({"instances": [self._image.tolist()]})
        connection.request("POST", f"/v1/models/{self._model}:predict", body)
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status != http.client.OK:
            raise OSError(f"{response.status} {answer}")
        scores: list[float] = answer["predictions"][0]
        return str(response.headers["x-model-version"]), scores

    def _over_rest(self) -> None:
        connection = http.client.HTTPConnection(self._rest, timeout=30)
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                version, _ = self._post(connection)
                self._count("rest", version)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._fail("REST", error)
        connection.close()

    def _over_grpc(self) -> None:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.inputs["images"].CopyFrom(
            tf.make_tensor_proto(self._image, shape=[1, self._image.size])
        )
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self._rpc, options=options) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while not self._stop.wait(PAUSE_SECONDS):
                try:
                    response: Any = stub.Predict(request, timeout=30)
                    self._count("grpc", str(response.model_spec.version.value))
                except grpc.RpcError as error:
                    self._fail("gRPC", error)

    def _count(self, protocol: str, version: str) -> None:
        with self._lock:
            self._counts[protocol][version] += 1

    def _fail(self, protocol: str, error: Exception) -> None:
        self.failures.append(f"{time.strftime('%H:%M:%S')} {protocol}: {str(error)[:300]}")
