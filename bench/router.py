"""
What a router costs: memory of a pair, and the time that it adds to a request.

Run it with `PYTHONPATH=tests python bench/router.py`; it needs HAProxy and grpcio, and uses
loopback addresses alone.
Direct and routed requests take turns in one run, so that the ratios hold on a busy machine too.
It ends with status 1 if a goal is missed.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from testkit.load import GrpcClient, RestClient, Tally, send_many
from testkit.routers import NET, Bench, Upstream, bench, routing, until

PAIR_MEGABYTES = 140.0
ADDED_P50_MILLISECONDS = 1.0
SERVER = f"{NET}.8.1"


@dataclass(frozen=True, slots=True)
class Times:
    """
    Quantiles of one kind of request, in milliseconds.
    """

    p50: float
    p99: float


def quantiles(samples: list[float]) -> Times:
    """
    Compute the quantiles of samples in seconds.
    """
    cuts = statistics.quantiles(samples, n=100)
    return Times(cuts[49] * 1000, cuts[98] * 1000)


async def measure(predict: Callable[[Tally], Awaitable[None]], count: int) -> list[float]:
    """
    Time requests, one after the other.
    """
    tally = Tally()
    samples = []
    for _ in range(count):
        start = time.perf_counter()
        await predict(tally)
        samples.append(time.perf_counter() - start)
    if tally.failures:
        raise SystemExit(f"Requests failed: {tally.failures}")
    return samples


async def compare(protocol: str, address: str, count: int) -> bool:
    """
    Print what the router adds to requests of one protocol, and return whether the goal is met.
    """
    kind = RestClient if protocol == "REST" else GrpcClient
    direct, routed = kind(SERVER), kind(address)
    seen: dict[str, list[float]] = {"direct": [], "routed": []}
    for _ in range(10):
        seen["direct"] += await measure(direct.predict, count // 10)
        seen["routed"] += await measure(routed.predict, count // 10)
    for client in (direct, routed):
        await client.aclose()
    one, two = quantiles(seen["direct"]), quantiles(seen["routed"])
    print(
        f"{protocol:5} p50 {one.p50:.2f} -> {two.p50:.2f} ms (+{two.p50 - one.p50:.2f} ms,"
        f" x{two.p50 / one.p50:.2f}), p99 {one.p99:.2f} -> {two.p99:.2f} ms"
        f" (+{two.p99 - one.p99:.2f} ms, x{two.p99 / one.p99:.2f}), {count} requests each way"
    )
    return two.p50 - one.p50 < ADDED_P50_MILLISECONDS


def resident(router: Bench) -> dict[str, float]:
    """
    Read the resident megabytes of a router's processes.
    """
    found = {"agent": router.process, "keeper": router.keeper}
    numbers = {name: process.pid for name, process in found.items() if process}
    numbers["haproxy"] = router.haproxy()
    return {name: _resident(number) for name, number in numbers.items()}


def _resident(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def report_memory(routers: list[Bench], when: str) -> float:
    """
    Print the memory of the pair, and return its sum.
    """
    parts = [resident(router) for router in routers]
    total = sum(sum(part.values()) for part in parts)
    each = ", ".join(" + ".join(f"{name} {mb:.1f}" for name, mb in p.items()) for p in parts)
    print(f"pair  {total:.1f} MB resident {when} ({each})")
    return total


async def run(routers: list[Bench], count: int) -> bool:
    """
    Measure everything, and return whether all goals are met.
    """
    idle = report_memory(routers, "idle")
    address = routers[0].address
    met = [await compare(protocol, address, count) for protocol in ("REST", "gRPC")]
    clients = [GrpcClient(router.address) for router in routers for _ in range(8)]
    await asyncio.gather(*(send_many(client.predict, count // 8, 8) for client in clients))
    for client in clients:
        await client.aclose()
    loaded = report_memory(routers, "after 128 calls at once")
    met += [idle < PAIR_MEGABYTES, loaded < PAIR_MEGABYTES]
    return all(met)


def main() -> int:
    """
    Start a pair of routers and one server, measure, and return the exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    count: int = parser.parse_args().requests
    server = Upstream(SERVER, "1")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        server.start()
        stack.callback(server.end)
        routers = []
        for number in (201, 202):
            own = Path(folder) / str(number)
            own.mkdir()
            router = stack.enter_context(bench(own, number, MODELDEPLOY_LOG_LEVEL="INFO"))
            router.route(routing(1))
            router.start_keeper()
            router.pool("a", SERVER)
            router.start()
            routers.append(router)
        until(lambda: all(r.slot("a")["up"] == 1 for r in routers), "the server is up")
        met = asyncio.run(run(routers, count))
    print(
        f"goals: pair < {PAIR_MEGABYTES:.0f} MB, added p50 < {ADDED_P50_MILLISECONDS} ms:", end=" "
    )
    print("met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
