"""
What overload does: more requests than the server can compute, over REST and over gRPC.

Run it with `PYTHONPATH=tests python bench/overload.py`; it takes about a minute.
Requests come at a steady rate, whether or not earlier ones are answered, as from many users.
It ends with status 1 if a goal is missed: what is accepted stays quick, and the server goes on
computing about as much as it can.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio

from modeldeploy_runtime.protos import messages
from testkit import saved_models
from testkit.model_servers import ModelServer, running
from testkit.raw_http import post

THREADS, WAITING = 2, 8
FLAGS = (
    f"--rest_api_num_threads={THREADS}",
    f"--grpc_max_threads={THREADS}",
    f"--max_waiting_requests={WAITING}",
)
# An accepted request finds at most so many before it, for each thread; twice that is for a machine
# that the clients share.
MOST_SLOWER = 2 * (THREADS + WAITING) / THREADS
LEAST_GOODPUT = 0.7
SECONDS_EACH = 0.02
LOADS = (1.0, 2.0, 5.0)


@dataclass(slots=True)
class Tally:
    """
    Seconds that accepted requests took, how many were shed, and what else came back.
    """

    accepted: list[float] = field(default_factory=list)
    shed: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """
        The 99th percentile of the accepted ones, in seconds.
        """
        return statistics.quantiles(self.accepted, n=100)[98]


Ask = Callable[[Tally], Awaitable[None]]


class Rest:
    """
    REST with connections that are kept.
    """

    def __init__(self, server: ModelServer, count: int) -> None:
        self._port = server.rest_port
        body = json.dumps({"instances": [count]}).encode()
        self._request = post("/v1/models/slow:predict", body)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, tally: Tally) -> None:
        """
        Send one request.
        """
        started = time.perf_counter()
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self._idle.append((reader, writer))
        status = int(head[9:12])
        if status == 200:
            tally.accepted.append(time.perf_counter() - started)
        elif status == 429:
            tally.shed += 1
        else:
            tally.wrong.append(str(status))


class Grpc:
    """
    gRPC on one channel.
    """

    def __init__(self, server: ModelServer, count: int) -> None:
        self._channel = grpc.aio.insecure_channel(server.target)
        request = messages.PredictRequest()
        request.model_spec.name = "slow"
        request.inputs["n"].dtype = 3
        request.inputs["n"].tensor_shape.dim.add().size = 1
        request.inputs["n"].int_val.append(count)
        self._message = request.SerializeToString()

    async def ask(self, tally: Tally) -> None:
        """
        Send one request.
        """
        started = time.perf_counter()
        method = self._channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        try:
            await method(self._message, timeout=60)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                tally.shed += 1
            else:
                tally.wrong.append(f"{error.code()}: {error.details()}")
        else:
            tally.accepted.append(time.perf_counter() - started)


async def capacity(ask: Ask, seconds: float) -> tuple[float, Tally]:
    """
    Ask from as many clients as there are threads, and return the rate and the times.
    """
    tally, end = Tally(), time.perf_counter() + seconds

    async def client() -> None:
        while time.perf_counter() < end:
            await ask(tally)

    await asyncio.gather(*(client() for _ in range(THREADS)))
    return len(tally.accepted) / seconds, tally


async def offer(ask: Ask, rate: float, seconds: float) -> Tally:
    """
    Ask at a steady rate, and wait for the last answers.
    """
    tally, loop = Tally(), asyncio.get_running_loop()
    started, asked = loop.time(), set()
    for index in range(int(rate * seconds)):
        await asyncio.sleep(started + index / rate - loop.time())
        asked.add(asyncio.create_task(ask(tally)))
    await asyncio.gather(*asked)
    return tally


async def measure(name: str, ask: Ask, seconds: float) -> list[str]:
    """
    Measure one protocol, print the figures, and return the goals that are missed.
    """
    await capacity(ask, 1.0)
    rate, calm = await capacity(ask, seconds)
    print(f"{name}: capacity {rate:.0f}/s, p99 {calm.p99 * 1000:.0f} ms")
    missed = []
    for load in LOADS:
        tally = await offer(ask, load * rate, seconds)
        slower, goodput = tally.p99 / calm.p99, len(tally.accepted) / seconds / rate
        print(
            f"{name}: {load:g} x capacity: accepted {goodput:.0%} of capacity, "
            f"p99 {tally.p99 * 1000:.0f} ms ({slower:.1f} x), shed {tally.shed}"
        )
        if slower > MOST_SLOWER:
            missed.append(f"{name} at {load:g}: the p99 is {slower:.1f} times that at capacity")
        if load > 1 and goodput < LEAST_GOODPUT:
            missed.append(f"{name} at {load:g}: only {goodput:.0%} of the capacity is used")
        missed += [f"{name} at {load:g}: {wrong}" for wrong in tally.wrong[:3]]
    return missed


def calibrate(server: ModelServer) -> int:
    """
    Find how far the model must count to be busy for the wanted time.
    """
    count = 20_000
    server.predict("slow", {"instances": [count]})
    started = time.perf_counter()
    for _ in range(5):
        server.predict("slow", {"instances": [count]})
    return int(count * SECONDS_EACH / ((time.perf_counter() - started) / 5))


async def run(server: ModelServer, seconds: float) -> list[str]:
    """
    Measure both protocols.
    """
    count = calibrate(server)
    missed = await measure("REST", Rest(server, count).ask, seconds)
    return missed + await measure("gRPC", Grpc(server, count).ask, seconds)


def main() -> int:
    """
    Measure, print and judge.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each measurement")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        saved_models.make_all(Path(folder))
        flags = ("--model_name=slow", f"--model_base_path={folder}/slow", *FLAGS)
        with running(Path(folder), *flags) as server:
            server.wait_ready()
            missed = asyncio.run(run(server, seconds))
    for goal in missed:
        print(f"missed: {goal}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
