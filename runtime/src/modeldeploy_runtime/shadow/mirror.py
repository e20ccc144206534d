"""
Takes a sample of the answered requests, asks them again, and counts what came of it.

One target at a time, which is set while the server runs.  Whoever answers requests hands over
references and never waits.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import grpc

from modeldeploy_runtime import channels
from modeldeploy_runtime.inference.answered.exchanges import Exchange
from modeldeploy_runtime.recording import records
from modeldeploy_runtime.shadow import counts, questions
from modeldeploy_runtime.shadow.counts import Counts
from modeldeploy_runtime.shadow.questions import Outputs, Question
from modeldeploy_runtime.shadow.target import Target
from modeldeploy_runtime.telemetry.calls import RUN_SECONDS, SHADOW_MARK, Call
from modeldeploy_runtime.telemetry.exposition import Family
from modeldeploy_runtime.tensors import comparing, dtypes
from modeldeploy_runtime.tensors.comparing import Comparison

_OPTIONS = (
    # The pods behind a name come and go.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 << 20),
)
# The target's answers for which it, and not the version that it serves, is to blame.
_TARGETS_FAULT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        # Of the version: it is not there yet, or not any more.
        grpc.StatusCode.NOT_FOUND,
    }
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How much shadow traffic may take.

    ``queued`` requests of together ``queued_bytes`` wait or are asked, none larger than
    ``request_bytes``.  ``threads`` ask, for at most ``seconds`` each, and begin ``pause`` seconds
    after a request was answered; none of them takes more than ``share`` of a processor, as that is
    what those who answer clients have to do without.
    """

    queued: int = 256
    queued_bytes: int = 32 << 20
    request_bytes: int = 8 << 20
    threads: int = 2
    seconds: float = 10.0
    pause: float = 0.01
    share: float = 0.05


@dataclass(frozen=True, slots=True)
class _Entry:
    exchange: Exchange
    signature: str
    seconds: float
    size: int
    due: float


class Mirror:
    """The shadow traffic of one server; threads may call every method at any time."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._counts: Counts | None = None
        self._random = random.Random()  # noqa: S311 - sampling, no secret

    @property
    def target(self) -> Target | None:
        """Whom requests are asked of now."""
        session = self._session
        return session.target if session else None

    @property
    def last_mismatch(self) -> str:
        """How the last answer differed that was not the same."""
        return self._counts.last_mismatch if self._counts else ""

    def aim(self, target: Target | None) -> None:
        """Ask another target from now on, or none; the same one again changes nothing."""
        with self._lock:
            before = self._session
            if target == (before.target if before else None):
                return
            self._session = None
            if target is not None:
                self._counts = Counts(target.name)
                self._session = _Session(target, self._counts, self._limits)
        if before:
            before.close()

    def wants(self, model: str) -> bool:
        """Draw whether a request belongs to the sample; costs next to nothing without a target."""
        session = self._session
        return (
            session is not None
            and session.target.model == model
            and self._random.random() * 100 < session.target.percent
        )

    def record(self, call: Call, exchange: Exchange) -> None:
        """Take a request of the sample, once it has been answered."""
        session = self._session
        if session is not None:
            call.after = partial(session.take, call, exchange)

    def families(self) -> Iterator[Family]:
        """Tell what was counted for the present target, or else for the last one."""
        counted = self._counts
        if counted is not None:
            yield from counted.read()

    def close(self) -> None:
        """Take no more."""
        self.aim(None)


class _Session:
    """One target: its queue, its threads and its connection."""

    def __init__(self, target: Target, counted: Counts, limits: Limits) -> None:
        self.target = target
        self._counts = counted
        self._limits = limits
        self._waiting: deque[_Entry] = deque()
        self._held = self._bytes = 0
        self._changed = threading.Condition()
        self._closed = self._is_down = False
        self._ended = threading.Event()
        self._channel = channels.connect(
            target.address, _OPTIONS, target.root_certificates, target.server_name
        )
        self._methods: dict[str, Callable[..., tuple[bytes, grpc.Call]]] = {}
        self._threads = [
            threading.Thread(target=self._run, name=f"shadow {index}", daemon=True)
            for index in range(limits.threads)
        ]
        for thread in self._threads:
            thread.start()

    def take(self, call: Call, exchange: Exchange) -> None:
        """Queue an answered request, or skip it; never waits for anybody."""
        if call.pinned:
            self._counts.skip(counts.PINNED)
            return
        due = time.monotonic() + self._limits.pause
        size = records.size(exchange)
        entry = _Entry(exchange, call.signature, call.run_seconds, size, due)
        reason = ""
        with self._changed:
            if size > self._limits.request_bytes:
                reason = counts.TOO_LARGE
            elif self._closed or not self._has_room(size):
                reason = counts.QUEUE_FULL
            else:
                self._waiting.append(entry)
                self._held += 1
                self._bytes += size
                self._changed.notify()
        if reason:
            self._counts.skip(reason)

    def close(self) -> None:
        """Drop what waits, and end."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._ended.set()
        self._channel.close()

    def _has_room(self, size: int) -> bool:
        return self._held < self._limits.queued and self._bytes + size <= self._limits.queued_bytes

    def _run(self) -> None:
        while entry := self._next():
            began = time.thread_time()
            try:
                self._ask(entry)
            except Exception:  # noqa: BLE001 - a request that cannot be asked must not end the rest
                self._counts.skip(counts.UNSUPPORTED)
                if not self._closed:
                    _log.exception("A request could not be compared with %s.", self.target.name)
            finally:
                with self._changed:
                    self._held -= 1
                    self._bytes -= entry.size
            worked = time.thread_time() - began
            self._ended.wait(worked * (1 / self._limits.share - 1))

    def _next(self) -> _Entry | None:
        """Wait for an entry that is due, or for the end."""
        with self._changed:
            while not self._closed:
                wait = self._waiting[0].due - time.monotonic() if self._waiting else None
                if wait is not None and wait <= 0:
                    return self._waiting.popleft()
                self._changed.wait(wait)
            return None

    def _ask(self, entry: _Entry) -> None:
        question = questions.of(entry.exchange, self.target.model, entry.signature)
        if question is None:
            self._counts.skip(counts.UNSUPPORTED)
            return
        began = time.perf_counter()
        try:
            response, rpc = self._method(question)(
                question.request, timeout=self._limits.seconds, metadata=((SHADOW_MARK, "1"),)
            )
        except grpc.RpcError as error:
            self._judge(error)
            return
        elapsed = time.perf_counter() - began
        self._note(down="")
        told = dict(rpc.trailing_metadata() or ()).get(RUN_SECONDS)
        found = question.read(response)
        comparison = _compare(question.expected, found, self.target.tolerance)
        self._counts.compare(comparison, entry.seconds, float(told) if told else elapsed)

    def _method(self, question: Question) -> Callable[..., tuple[bytes, grpc.Call]]:
        method = self._methods.get(question.method)
        if method is None:
            method = self._channel.unary_unary(question.method).with_call
            self._methods[question.method] = method
        return method

    def _judge(self, error: grpc.RpcError) -> None:
        """Tell a target that is not there from a version that refuses what was answered here."""
        code, details = error.code(), str(error.details())[:200]
        if code in _TARGETS_FAULT:
            self._counts.skip(counts.TARGET_FAILED)
            self._note(down=f"{code.name}: {details}")
        else:
            self._counts.refuse(f"the request is refused with {code.name}: {details}")

    def _note(self, *, down: str) -> None:
        """Say once that the target is away, and once that it is back."""
        if bool(down) == self._is_down or self._closed:
            return
        self._is_down = bool(down)
        if down:
            _log.warning("Shadow traffic does not reach %s: %s", self.target.address, down)
        else:
            _log.info("Shadow traffic reaches %s again.", self.target.address)


def _compare(expected: Outputs, found: Outputs, tolerance: float) -> Comparison:
    """Compare two answers; what clients read must have the same type, too."""
    for name, array in expected.items():
        given = found.get(name)
        if given is not None and dtypes.of_array(given) is not dtypes.of_array(array):
            was, now = dtypes.enum_name(array), dtypes.enum_name(given)
            return Comparison(f"the output {name} is of type {now} instead of {was}")
    return comparing.compare(expected, found, tolerance)
