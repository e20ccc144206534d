"""
Sends digits to a server over gRPC and says how many of them it gets wrong.

    python digits_client.py --num_tests=1000 --concurrency=1 --server=127.0.0.1:8500

The images are those that no model of train_digits.py was trained on, so that the rate which is
printed is the one that training printed.  The stubs are TensorFlow Serving's own.
"""

import argparse
import sys
import threading
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from digits_data import TESTS, load
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

TIMEOUT_SECONDS = 10.0


class Results:
    """Counts answers as they come, and lets only so many requests be under way."""

    def __init__(self, concurrency: int) -> None:
        self._free = threading.Semaphore(concurrency)
        self._lock = threading.Lock()
        self.done = 0
        self.wrong = 0
        self.failed = 0
        self.versions: dict[int, int] = {}

    def begin(self) -> None:
        """Wait until another request may be sent."""
        self._free.acquire()

    def take(self, label: int, future: Any) -> None:
        """Judge one answer."""
        self._free.release()
        with self._lock:
            self.done += 1
            error = future.exception()
            if error is not None:
                self.failed += 1
                print(f"\n{error.code().name}: {error.details()}", file=sys.stderr)
                return
            response = future.result()
            scores = np.array(response.outputs["scores"].float_val)
            self.wrong += int(np.argmax(scores) != label)
            version = response.model_spec.version.value
            self.versions[version] = self.versions.get(version, 0) + 1
            if self.done % 10 == 0:
                print(".", end="", flush=True)


def run(server: str, model: str, tests: int, concurrency: int) -> Results:
    """Send the test images, one in each request."""
    digits = load()
    results = Results(concurrency)
    with grpc.insecure_channel(server) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        futures = []
        for image, label in zip(
            digits.test_images[:tests], digits.test_labels[:tests], strict=True
        ):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(image, shape=[1, image.size]))
            results.begin()
            future = stub.Predict.future(request, TIMEOUT_SECONDS)
            future.add_done_callback(lambda done, label=label: results.take(int(label), done))
            futures.append(future)
        for future in futures:
            future.exception()
        while results.done < len(futures):
            threading.Event().wait(0.01)
    return results


def main() -> None:
    """Test the server that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num_tests", type=int, default=TESTS, help="how many images to send")
    parser.add_argument("--concurrency", type=int, default=1, help="how many at the same time")
    parser.add_argument("--server", required=True, help="HOST:PORT of its gRPC")
    parser.add_argument("--model", default="mnist", help="the model's name there")
    arguments = parser.parse_args()
    if not 0 < arguments.num_tests <= TESTS:
        parser.error(f"--num_tests must be between 1 and {TESTS}, as there are no more images.")
    results = run(
        arguments.server, arguments.model, arguments.num_tests, max(1, arguments.concurrency)
    )
    print()
    if results.failed:
        sys.exit(f"{results.failed} of {results.done} requests failed.")
    answered = ", ".join(f"{count} by version {v}" for v, count in sorted(results.versions.items()))
    print(f"Answered: {answered}.")
    print(f"Inference error rate: {100 * results.wrong / results.done:.2f}%")


if __name__ == "__main__":
    main()
