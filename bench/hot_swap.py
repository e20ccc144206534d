"""
What a change of versions costs those who ask: failures, latency, memory.

Run it with `PYTHONPATH=tests python bench/hot_swap.py`.
One REST and one gRPC client, each a process of its own, ask at a steady pace. Rounds without and
with a new version every second take turns, and each is compared with the one before it: what else
the machine does changes from minute to minute. The median of these ratios counts.
Then versions take each other's place as fast as they can, and the server's memory is watched.
It ends with status 1 if a goal is missed.
"""

import argparse
import http.client
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
from google.protobuf import text_format

from modeldeploy_runtime.protos import messages
from testkit.model_servers import ModelServer, running

MODEL = "perceptron"
PACE_SECONDS = 0.005
ROUND_SECONDS = 10
SETTLE_SECONDS = 3.0
GOAL_P99 = 2.0
GOAL_GROWTH = 1.10
FIRST_SWAPS = 20

PREDICT = "/tensorflow.serving.PredictionService/Predict"


@dataclass(slots=True)
class Seen:
    """
    What one client saw: when each request began and how long it took, in seconds; failures.
    """

    requests: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def p99(self, begin: float, end: float) -> float:
        """
        Compute the 99th percentile of what began in a span of time, in milliseconds.
        """
        spent = [took for at, took in self.requests if begin <= at < end]
        return 1000 * statistics.quantiles(spent, n=100)[98]


def rest_caller(port: int) -> Callable[[], None]:
    """
    Make a function that sends one REST request on a connection that is kept.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = b'{"instances": [[' + b", ".join([b"0.5"] * 784) + b"]]}"

    def call() -> None:
        connection.request("POST", f"/v1/models/{MODEL}:predict", body)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text!r}")

    return call


def grpc_caller(port: int) -> Callable[[], None]:
    """
    Make a function that sends one gRPC request on a channel that is kept.
    """
    request = text_format.Parse(
        f'model_spec {{ name: "{MODEL}" }} inputs {{ key: "x" value {{ dtype: DT_FLOAT '
        "tensor_shape { dim { size: 1 } dim { size: 784 } } float_val: 0.5 } }",
        messages.PredictRequest(),
    ).SerializeToString()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    predict = channel.unary_unary(PREDICT)

    def call() -> None:
        predict(request, timeout=30)

    return call


def ask(protocol: str, port: int, pipe: Connection) -> None:
    """
    Ask at a steady pace until the pipe says to stop, and send back what was seen.
    """
    call = (rest_caller if protocol == "REST" else grpc_caller)(port)
    seen = Seen()
    due = time.monotonic()
    while not pipe.poll():
        began = time.monotonic()
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it counts
            seen.failures.append(f"{type(error).__name__}: {error}")
        seen.requests.append((began, time.monotonic() - began))
        due = max(due + PACE_SECONDS, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    pipe.send(seen)


@contextmanager
def clients(server: ModelServer) -> Iterator[dict[str, Seen]]:
    """
    Have both clients ask while the block runs; what they saw is there afterwards.
    """
    spawn = multiprocessing.get_context("spawn")
    found: dict[str, Seen] = {}
    pipes = {}
    for protocol, port in (("REST", server.rest_port), ("gRPC", server.port)):
        here, there = spawn.Pipe()
        spawn.Process(target=ask, args=(protocol, port, there), daemon=True).start()
        pipes[protocol] = here
    try:
        yield found
    finally:
        for pipe in pipes.values():
            pipe.send("stop")
        found.update({protocol: pipe.recv() for protocol, pipe in pipes.items()})


class Versions:
    """
    Puts versions into place: the same weights, and on request a graph that is none of before.
    """

    def __init__(self, folder: Path) -> None:
        self.base = folder / MODEL
        self._template = folder / "template"
        command = [sys.executable, "-m", "testkit.perceptron", str(self._template)]
        subprocess.run(command, check=True, capture_output=True)
        self.last = 0
        self._graph = (self._template / "saved_model.pb").read_bytes()

    def place(self, *, fresh_graph: bool = False) -> int:
        """
        Put the next version into place by one rename, and return its number.
        """
        self.last += 1
        hidden = self.base / f".{self.last}"
        shutil.copytree(self._template, hidden)
        if fresh_graph:
            # An unknown field of the message: TensorFlow skips it, and the file is another one.
            mark = b"%08d" % self.last
            (hidden / "saved_model.pb").write_bytes(self._graph + b"\xfa\x3f\x08" + mark)
        (hidden / "_SUCCESS").touch()
        hidden.rename(self.base / str(self.last))
        shutil.rmtree(self.base / str(self.last - 5), ignore_errors=True)
        return self.last


def resident(server: ModelServer) -> float:
    """
    Read the server's resident memory in megabytes.
    """
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def swap_under_load(
    server: ModelServer, versions: Versions, seconds: float, *, fresh_graph: bool
) -> bool:
    """
    Compare rounds with a new version every second with those without; return whether goals are met.
    """
    first = versions.last
    rounds: list[tuple[float, float, float]] = []
    with clients(server) as found:
        for _ in range(max(1, int(seconds) // ROUND_SECONDS)):
            time.sleep(SETTLE_SECONDS)
            steady = time.monotonic()
            time.sleep(ROUND_SECONDS)
            begin = time.monotonic()
            for number in range(ROUND_SECONDS):
                versions.place(fresh_graph=fresh_graph)
                time.sleep(max(0.0, begin + number + 1 - time.monotonic()))
            server.wait_state(MODEL, versions.last, "AVAILABLE")
            rounds.append((steady, begin, time.monotonic()))
    served = server.log.count("is available after") - first
    met = True
    print(f"{'a graph of its own' if fresh_graph else 'the same graph'} for each version:")
    for protocol, seen in found.items():
        before = [seen.p99(steady, begin) for steady, begin, _ in rounds]
        during = [seen.p99(begin, end) for _, begin, end in rounds]
        ratio = statistics.median(b / a for a, b in zip(before, during, strict=True))
        met = met and not seen.failures and ratio <= GOAL_P99
        print(
            f"  {protocol:5} p99 {statistics.median(before):.2f} -> "
            f"{statistics.median(during):.2f} ms (x{ratio:.2f}, the median of {len(rounds)} "
            f"rounds), {len(seen.requests)} requests, {len(seen.failures)} failed "
            f"{seen.failures[:3]}"
        )
    print(f"  {served} of {versions.last - first} versions served")
    return met


def swap_for_memory(server: ModelServer, versions: Versions, swaps: int) -> bool:
    """
    Let versions take each other's place one after the other, and compare memory late and early.
    """
    early = 0.0
    for number in range(1, swaps + 1):
        version = versions.place(fresh_graph=bool(number % 2))
        server.wait_state(MODEL, version, "AVAILABLE")
        server.wait_state(MODEL, version - 1, "END")
        if number == min(FIRST_SWAPS, swaps):
            early = resident(server)
    late = resident(server)
    print(f"memory {early:.0f} MB after {FIRST_SWAPS} swaps, {late:.0f} MB after {swaps}")
    return late <= GOAL_GROWTH * early


def main() -> int:
    """
    Measure everything, and return the exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of a version every second")
    parser.add_argument("--swaps", type=int, default=200, help="for the memory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        versions = Versions(folder)
        versions.place()
        flags = (f"--model_name={MODEL}", f"--model_base_path={versions.base}")
        with running(folder, *flags) as server:
            server.wait_ready()
            met = [
                swap_under_load(server, versions, arguments.seconds, fresh_graph=fresh)
                for fresh in (False, True)
            ]
            met.append(swap_for_memory(server, versions, arguments.swaps))
    print(
        f"goals: no failure, p99 at most x{GOAL_P99:g}, memory at most x{GOAL_GROWTH:g}:", end=" "
    )
    print("met" if all(met) else "MISSED")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
