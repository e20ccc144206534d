"""
Sends hostile requests, with good ones among them, and says what came back.

    python -m testkit.hostile_client KIND PORT SEED COUNT

KIND is http, connections, grpc or streams.  The last line of the output is one JSON object: how
many requests were sent, how many good ones were answered rightly, the answers by status, and what
must not be.
"""

import json
import socket
import sys
import threading
from collections import Counter
from functools import partial
from typing import Any

import grpc

from modeldeploy_runtime.protos import messages
from testkit.hostile import PREDICT, Good, Hostile, predict_request
from testkit.raw_http import RawConnection, post

BATCH = 24
WINDOW = 32
# 499 is for clients that have left, 501 for types that JSON cannot carry.
EXPECTED = frozenset({200, 400, 404, 405, 413, 414, 429, 431, 499, 501})
FINE = frozenset(
    {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED"}
    | {"PERMISSION_DENIED", "OUT_OF_RANGE"}
)


class Report:
    """
    What was sent, and what came back; threads may add to it.
    """

    def __init__(self) -> None:
        self.sent = self.right = 0
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self._lock = threading.Lock()

    def add(self, answer: str, fault: str = "") -> None:
        """
        Count an answer.
        """
        with self._lock:
            self.answers[answer] += 1
            if fault and len(self.faults) < 20:
                self.faults.append(fault)

    def line(self) -> str:
        """
        Write all as JSON.
        """
        return json.dumps(
            {
                "sent": self.sent,
                "right": self.right,
                "answers": self.answers,
                "faults": self.faults,
            }
        )


def _good_post(good: Good) -> bytes:
    return post(PREDICT, json.dumps({"instances": good.numbers}).encode())


def _check(report: Report, good: Good, status: int, body: bytes, around: bytes) -> None:
    if status == 200 and json.loads(body) == {"predictions": good.expected}:
        report.right += 1
    else:
        report.add("wrong", f"A good request got {status}: {body[:300]!r} beside {around!r}")


def http(port: int, supply: Hostile, count: int, report: Report) -> None:
    """
    Send batches without waiting for answers, and expect one answer for each, in order.
    """
    connection = RawConnection(port)
    while report.sent < count:
        batch: list[Good | bytes] = [
            supply.good() if not supply.random.randrange(10) else supply.well_framed()
            for _ in range(BATCH)
        ]
        connection.send(b"".join(_good_post(r) if isinstance(r, Good) else r for r in batch))
        for request in batch:
            status, body = connection.receive()
            report.sent += 1
            if isinstance(request, Good):
                _check(report, request, status, body, b"")
            else:
                fault = (
                    "" if status in EXPECTED else f"{request[:300]!r} got {status} {body[:300]!r}"
                )
                report.add(str(status), fault)
            if not status:
                connection = RawConnection(port)
                break


def connections(port: int, supply: Hostile, count: int, report: Report) -> None:
    """
    Send one bad stream of bytes on a connection of its own, after a good request.
    """
    while report.sent < count:
        connection, good, bad = RawConnection(port), supply.good(), supply.badly_framed()
        try:
            connection.send(_good_post(good) + bad)
            if supply.random.randrange(2):
                connection.socket.shutdown(socket.SHUT_WR)
                _check(report, good, *connection.receive(), bad[:300])
                connection.is_closed()
            elif supply.random.randrange(2):
                _check(report, good, *connection.receive(), bad[:300])
            report.add("sent")
        except OSError as error:
            report.add(type(error).__name__, f"{bad[:300]!r}: {error}")
        finally:
            connection.socket.close()
        report.sent += 2


def grpc_calls(port: int, supply: Hostile, count: int, report: Report) -> None:
    """
    Call with raw bytes, a number of calls at a time.
    """
    slots = threading.Semaphore(WINDOW)
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        while report.sent < count:
            good = supply.good() if not supply.random.randrange(10) else None
            method, message = supply.call()
            if good:
                method, message = (
                    "/tensorflow.serving.PredictionService/Predict",
                    predict_request(good),
                )
            slots.acquire()
            report.sent += 1
            call = channel.unary_unary(method).future(message, timeout=60)
            call.add_done_callback(partial(_done, report=report, good=good, message=message))
            call.add_done_callback(lambda _: slots.release())
        for _ in range(WINDOW):
            slots.acquire()


def _done(call: Any, *, report: Report, good: Good | None, message: bytes) -> None:
    code, details = call.code().name, call.details() or ""
    report.add(code, "" if code in FINE else f"{message[:300]!r} got {code}: {details[:300]}")
    if good is None:
        return
    answer: Any = messages.PredictResponse()
    if code == "OK":
        answer.ParseFromString(call.result())
    if list(answer.outputs["y"].float_val) == good.expected:
        report.right += 1
    else:
        report.add("wrong", f"A good call got {code}: {details[:300]}")


def streams(port: int, supply: Hostile, count: int, report: Report) -> None:
    """
    Send what is hardly HTTP/2, on a connection of its own.
    """
    while report.sent < count:
        connection = RawConnection(port)
        try:
            connection.send(supply.stream())
            connection.socket.shutdown(socket.SHUT_WR)
            connection.is_closed()
            report.add("closed")
        except OSError as error:
            report.add(type(error).__name__)
        finally:
            connection.socket.close()
        report.sent += 1


KINDS = {"http": http, "connections": connections, "grpc": grpc_calls, "streams": streams}


def main() -> None:
    """
    Run one kind.
    """
    kind, port, seed, count = sys.argv[1], *map(int, sys.argv[2:])
    report = Report()
    KINDS[kind](port, Hostile(seed), count, report)
    sys.stdout.write(report.line() + "\n")


if __name__ == "__main__":
    main()
