"""
What batching brings and what it costs: throughput with many clients, and latency with one.

Run it with `PYTHONPATH=tests python bench/batching.py`; it uses loopback addresses alone.
Two servers of the same model, one of them with batching, take turns in one run, so that the ratios
hold on a busy machine too; the processor time of the server for each request is the steadiest
figure of all.
It ends with status 1 if a goal is missed.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from testkit.load import PREDICT, GrpcClient, RestClient
from testkit.model_servers import ModelServer, running

WIDTH, HIDDEN = 64, 2048
CLIENTS = 64
ROUNDS = 5
TIMES_THROUGHPUT = {"gRPC": 1.5, "REST": 1.5}
TIMES_LATENCY_ALONE = 1.15
PARAMETERS = "max_batch_size { value: 64 } batch_timeout_micros { value: 0 }"

Send = Callable[[], Awaitable[None]]


def make_model(folder: Path) -> None:
    """
    Write a perceptron whose cost is reading its weights, in a process of its own.
    """
    import tensorflow as tf  # noqa: PLC0415 - the process that measures holds no graph

    module = tf.Module()
    sizes = (WIDTH, HIDDEN, HIDDEN, HIDDEN, 10)
    module.layers = [
        tf.Variable(tf.random.stateless_normal(pair, (1, 2)) / 30.0)
        for pair in itertools.pairwise(sizes)
    ]

    def predict(x: tf.Tensor) -> dict[str, tf.Tensor]:
        for weights in module.layers:
            x = tf.nn.relu(x @ weights)
        return {"y": x}

    specs = [tf.TensorSpec([None, WIDTH], tf.float32, name="x")]
    module.predict = tf.function(predict, input_signature=specs)
    signatures = {"serving_default": module.predict}
    tf.saved_model.save(module, str(folder), signatures=signatures)


def cpu_seconds(server: ModelServer) -> float:
    """
    Read how much processor time a server has used.
    """
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@dataclass(slots=True)
class Figures:
    """
    What was seen of one server over one protocol: requests, seconds, and latencies alone.
    """

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """
        Requests in a second, the median of all rounds.
        """
        return statistics.median(self.rates)

    @property
    def cpu_microseconds(self) -> float:
        """
        Processor time of the server for one request, the median of all rounds.
        """
        return statistics.median(self.cpu) * 1e6

    @property
    def p50(self) -> float:
        """
        The median latency of one client alone, in microseconds.
        """
        return statistics.median(self.alone) * 1e6


def rest(server: ModelServer) -> Send:
    """
    Make a client over REST, with a connection of its own.
    """
    client = RestClient("127.0.0.1", server.rest_port)
    body = json.dumps({"instances": [[0.5] * WIDTH]}).encode()

    async def send() -> None:
        status, _, content = await client.send("POST", "/v1/models/mlp:predict", body)
        if status != 200:
            raise SystemExit(f"A request failed: {status} {content.decode()}")

    return send


def grpc(server: ModelServer) -> Callable[[], Send]:
    """
    Make clients over gRPC, eight of which share a connection.
    """
    from tensorflow_serving.apis import predict_pb2  # noqa: PLC0415 - as in make_model

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "mlp"
    tensor = request.inputs["x"]
    tensor.dtype = 1
    tensor.float_val.extend([0.5] * WIDTH)
    for size in (1, WIDTH):
        tensor.tensor_shape.dim.add(size=size)
    body = request.SerializeToString()
    channels = [GrpcClient("127.0.0.1", server.port) for _ in range(CLIENTS // 8)]
    made = iter(range(CLIENTS))

    def make() -> Send:
        channel = channels[next(made) % len(channels)]

        async def send() -> None:
            await channel.call(PREDICT, body)

        return send

    return make


def clients(protocol: str, server: ModelServer) -> list[Send]:
    """
    Make all clients of one protocol.
    """
    make = grpc(server) if protocol == "gRPC" else lambda: rest(server)
    return [make() for _ in range(CLIENTS)]


async def flood(senders: list[Send], seconds: float) -> int:
    """
    Let every client send one request after the other, and count the answers.
    """
    end = time.monotonic() + seconds
    counts = [0] * len(senders)

    async def work(number: int, send: Send) -> None:
        while time.monotonic() < end:
            await send()
            counts[number] += 1

    await asyncio.gather(*(work(number, send) for number, send in enumerate(senders)))
    return sum(counts)


async def alone(send: Send, count: int) -> list[float]:
    """
    Time requests of one client, one after the other.
    """
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        await send()
        samples.append(time.perf_counter() - started)
    return samples


async def compare(protocol: str, servers: dict[str, ModelServer], seconds: float) -> bool:
    """
    Print what batching does over one protocol, and return whether the goals are met.
    """
    senders = {name: clients(protocol, server) for name, server in servers.items()}
    seen = {name: Figures() for name in servers}
    for name in servers:
        await flood(senders[name], 0.5)
    for _ in range(ROUNDS):
        for name, server in servers.items():
            used, started = cpu_seconds(server), time.monotonic()
            count = await flood(senders[name], seconds)
            seen[name].rates.append(count / (time.monotonic() - started))
            seen[name].cpu.append((cpu_seconds(server) - used) / count)
    for _ in range(10 * ROUNDS):
        for name in servers:
            seen[name].alone += await alone(senders[name][0], 20)
    plain, batched = seen["plain"], seen["batched"]
    gain, added = batched.rate / plain.rate, batched.p50 / plain.p50
    print(
        f"{protocol:5} {CLIENTS} clients: {plain.rate:.0f} -> {batched.rate:.0f} requests/s"
        f" (x{gain:.2f}), server CPU {plain.cpu_microseconds:.0f} ->"
        f" {batched.cpu_microseconds:.0f} us a request"
        f" (x{batched.cpu_microseconds / plain.cpu_microseconds:.2f});"
        f" one client: p50 {plain.p50:.0f} -> {batched.p50:.0f} us (x{added:.2f})"
    )
    return gain >= TIMES_THROUGHPUT[protocol] and added <= TIMES_LATENCY_ALONE


def main() -> int:
    """
    Start both servers, measure, and return the exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--parameters", default=PARAMETERS, help="BatchingParameters as text")
    parser.add_argument("--make_model", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make_model:
        make_model(arguments.make_model)
        return 0
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        command = [sys.executable, __file__, f"--make_model={folder / 'mlp' / '1'}"]
        subprocess.run(command, check=True, capture_output=True)
        parameters = folder / "parameters.txt"
        parameters.write_text(arguments.parameters)
        flags = ["--model_name=mlp", f"--model_base_path={folder / 'mlp'}"]
        batching = ["--enable_batching", f"--batching_parameters_file={parameters}"]
        servers = {
            "plain": stack.enter_context(running(folder, *flags)),
            "batched": stack.enter_context(running(folder, *flags, *batching)),
        }
        for server in servers.values():
            server.wait_ready()
        met = [
            uvloop.run(compare(protocol, servers, arguments.seconds))
            for protocol in TIMES_THROUGHPUT
        ]
    goals = ", ".join(f"{name} x{times}" for name, times in TIMES_THROUGHPUT.items())
    print(f"goals: throughput {goals}, one client alone x{TIMES_LATENCY_ALONE}:", end=" ")
    print("met" if all(met) else "MISSED")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
