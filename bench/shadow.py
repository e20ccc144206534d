"""
What a shadow costs those who ask: their p99 with one, against their p99 without, in one run.

Run it with `PYTHONPATH=tests python bench/shadow.py`; it takes about a minute and a half.
One REST and one gRPC client, each a process of its own, ask at a steady pace. Every few seconds the
server gets another one as a target, of all its requests, or loses it; so both kinds of time meet
the same machine. It ends with status 1 if a goal is missed.
"""

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from hot_swap import MODEL, SETTLE_SECONDS, Seen, Versions, clients
from prometheus_client.parser import text_string_to_metric_families

from testkit.model_servers import ModelServer, free_port, running

ROUNDS = 12
GOAL_P99 = 2.0
LEAST_COMPARED = 100

Spans = list[tuple[float, float]]


def aim(port: int, target: str | None) -> None:
    """
    Give the server a target, or take it away.
    """
    wanted = {"name": "bench", "model": MODEL, "address": target, "percent": 100, "tolerance": 0.0}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    method, body = ("PUT", json.dumps(wanted)) if target else ("DELETE", None)
    connection.request(method, "/v1/shadow", body)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.read()!r}")
    connection.close()


def counted(server: ModelServer) -> dict[str, int]:
    """
    Read what was compared with the present target, what differed, and what was skipped.
    """
    text = server.get("/monitoring/prometheus/metrics").body.decode()
    found = dict.fromkeys(("compared", "mismatched", "skipped"), 0)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix("modeldeploy_shadow_").removesuffix("_total")
            if name in found:
                found[name] += int(sample.value)
    return found


def p99(seen: Seen, spans: Spans) -> float:
    """
    Compute the 99th percentile of what began in some spans of time, in milliseconds.
    """
    spent = [took for at, took in seen.requests if any(a <= at < b for a, b in spans)]
    return 1000 * statistics.quantiles(spent, n=100)[98]


def measure(server: ModelServer, control: int, target: str, seconds: float) -> bool:
    """
    Take turns with and without a target; return whether goals are met.
    """
    spans: dict[bool, Spans] = {False: [], True: []}
    totals = dict.fromkeys(("compared", "mismatched", "skipped"), 0)
    with clients(server) as found:
        time.sleep(SETTLE_SECONDS)
        for turn in range(2 * ROUNDS):
            shadowed = bool(turn % 2)
            aim(control, target if shadowed else None)
            begin = time.monotonic()
            time.sleep(seconds)
            spans[shadowed].append((begin, time.monotonic()))
            if shadowed:
                totals = {name: totals[name] + count for name, count in counted(server).items()}
    met = totals["compared"] >= LEAST_COMPARED and not totals["mismatched"]
    for protocol, seen in found.items():
        without, with_one = p99(seen, spans[False]), p99(seen, spans[True])
        met = met and not seen.failures and with_one <= GOAL_P99 * without
        print(
            f"  {protocol:5} p99 {without:.2f} -> {with_one:.2f} ms (x{with_one / without:.2f}), "
            f"{len(seen.requests)} requests, {len(seen.failures)} failed {seen.failures[:3]}"
        )
    print("  " + ", ".join(f"{count} {name}" for name, count in totals.items()))
    return met


def main() -> int:
    """
    Measure, and return the exit status.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each of the 24 turns")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        versions, control = Versions(folder), free_port()
        versions.place()
        flags = (f"--model_name={MODEL}", f"--model_base_path={versions.base}")
        with (
            running(folder, *flags) as other,
            running(folder, *flags, f"--control_port={control}") as server,
        ):
            for each in (other, server):
                each.wait_ready()
            print("all requests are a shadow's sample:")
            met = measure(server, control, other.target, arguments.seconds)
    print(f"goals: no failure, no mismatch, p99 at most x{GOAL_P99:g}:", end=" ")
    print("met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
