"""
A batched model answers like the model itself, one request like many, whatever fails beside it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from modeldeploy_runtime.batching import group
from modeldeploy_runtime.batching.batch_queue import QueueOptions
from modeldeploy_runtime.batching.model import BatchedModel, BatchedSignature
from modeldeploy_runtime.batching.parameters import BatchingParameters
from modeldeploy_runtime.batching.scheduler import Scheduler
from modeldeploy_runtime.batching.stats import BatchingStats
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.errors import Code, ServingError
from modeldeploy_runtime.tensors import dtypes
from modeldeploy_runtime.tensors.dtypes import Array, TensorSpec

LONG = 60.0


class Doubler:
    """
    Doubles x, refuses negative numbers, and may be held up.
    """

    name = "s"
    definition = None
    queue = None
    inputs = {"x": TensorSpec("x:0", dtypes.BY_NAME["float"], (-1,))}  # noqa: RUF012 - no one writes
    outputs = {  # noqa: RUF012 - as above
        alias: TensorSpec(f"{alias}:0", dtypes.BY_NAME["float"], (-1,)) for alias in ("y", "z")
    }
    defaults: Mapping[str, Array] = {}

    def __init__(self) -> None:
        self.is_cheap = False
        self.sizes: list[int] = []
        self.asked: list[tuple[str, ...]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def run(
        self, inputs: Mapping[str, Array], outputs: Iterable[str], _deadline: float | None = None
    ) -> dict[str, Array]:
        """
        Compute 2x, and -x as z.
        """
        x = inputs["x"]
        self.sizes.append(len(x))
        self.asked.append(tuple(outputs))
        self.entered.release()
        assert self.gate.wait(LONG)
        if (x < 0).any():
            raise errors.InvalidArgumentError("negative")
        if (x > 1e6).any():
            raise KeyError("bug")
        return {alias: {"y": 2 * x, "z": -x}[alias] for alias in self.asked[-1]}


class Inner:
    """
    A model with one signature.
    """

    signature_defs: Mapping[str, bytes] = {}

    def __init__(self, signature: Doubler) -> None:
        self.signatures = {"s": signature}
        self.unloaded = False

    def run(
        self, _feeds: Mapping[str, Array], fetches: Sequence[str], _targets: Sequence[str]
    ) -> list[Array]:
        """
        Answer zeros.
        """
        return [np.zeros(1) for _ in fetches]

    def unload(self) -> None:
        """
        Note it.
        """
        self.unloaded = True


Make = Callable[..., tuple[Doubler, BatchedModel]]


@pytest.fixture
def stats() -> BatchingStats:
    """
    Make fresh counts.
    """
    return BatchingStats()


@pytest.fixture
def make(stats: BatchingStats) -> Make:
    """
    Make a batched model with one thread; its threads end with the process.
    """

    def build(
        allowed: tuple[int, ...] = (), threads: int = 1, **options: Any
    ) -> tuple[Doubler, BatchedModel]:
        size = options.setdefault("max_batch_size", 8)
        options.setdefault("max_execution_batch_size", size)
        parameters = BatchingParameters(QueueOptions(**options), allowed_batch_sizes=allowed)
        doubler = Doubler()
        model = BatchedModel(Inner(doubler), parameters, Scheduler(threads, "test"), stats)
        return doubler, model

    return build


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """
    Make threads for clients who wait.
    """
    with ThreadPoolExecutor(8) as made:
        yield made


def _x(*values: float) -> dict[str, Array]:
    return {"x": np.array(values, np.float32)}


def _start(
    signature: BatchedSignature, *values: float, deadline: float | None = None
) -> Future[dict[str, Array]]:
    future = signature.start(_x(*values), ["y"], deadline)
    assert future is not None
    return future


def _busy(doubler: Doubler, signature: BatchedSignature) -> Future[dict[str, Array]]:
    """
    Hold up the only thread with a batch, until the gate is opened.
    """
    doubler.gate.clear()
    future = _start(signature, 1.0)
    signature.help()
    assert doubler.entered.acquire(timeout=LONG)
    return future


def test_a_lone_call_is_computed_in_its_own_thread(make: Make) -> None:
    """
    Where nothing waits, batching costs no other thread's time.
    """
    doubler, model = make()
    assert model.signatures["s"].run(_x(1, 2), ["y"])["y"].tolist() == [2.0, 4.0]
    assert doubler.sizes == [2]


def test_calls_that_wait_share_a_batch(make: Make, stats: BatchingStats) -> None:
    """
    Everybody gets his own rows, in his own order.
    """
    doubler, model = make(allowed=(4, 8))
    signature = model.signatures["s"]
    first = _busy(doubler, signature)
    rest = [_start(signature, *values) for values in ((1, 2), (3,), (4, 5))]
    assert signature.waiting_rows == 5
    doubler.gate.set()
    answers = [future.result(LONG)["y"].tolist() for future in (first, *rest)]
    assert answers == [[2.0], [2.0, 4.0], [6.0], [8.0, 10.0]]
    assert doubler.sizes == [4, 8]
    read = stats.read()
    assert read.processed_batch_size.total == 12
    assert read.input_batch_size.total == 6
    assert {size: d.total for size, d in read.padding_size.items()} == {4: 3, 8: 3}
    assert sum(read.queuing_latency.counts) == 4


def test_a_bad_request_fails_alone(make: Make, stats: BatchingStats) -> None:
    """
    A failed batch is computed again in halves until the bad request is found.
    """
    doubler, model = make()
    signature = model.signatures["s"]
    _busy(doubler, signature)
    futures = [_start(signature, value) for value in (1, 2, -3, 4)]
    doubler.gate.set()
    assert [f.result(LONG)["y"].tolist() for f in (*futures[:2], futures[3])] == [[2], [4], [8]]
    with pytest.raises(ServingError, match="negative"):
        futures[2].result(LONG)
    assert doubler.sizes == [1, 4, 2, 2, 1, 1]
    assert stats.read().failed_batch_count == 2


def test_a_fault_in_the_model_is_told_to_all(make: Make) -> None:
    """
    What is no answer of the model's is not tried again.
    """
    doubler, model = make()
    signature = model.signatures["s"]
    _busy(doubler, signature)
    futures = [_start(signature, value) for value in (1, 2e6)]
    doubler.gate.set()
    for future in futures:
        with pytest.raises(KeyError):
            future.result(LONG)


def test_a_wrong_type_never_reaches_a_batch(make: Make) -> None:
    """
    Whoever sends it is told at once.
    """
    doubler, model = make()
    with pytest.raises(ServingError, match="to be float but int32"):
        model.signatures["s"].run({"x": np.ones(1, np.int32)}, ["y"])
    assert not doubler.sizes


def test_a_large_request_is_split_and_joined(make: Make) -> None:
    """
    The client sees one answer.
    """
    doubler, model = make(
        max_batch_size=20, max_execution_batch_size=4, enable_large_batch_splitting=True
    )
    values = [float(value) for value in range(10)]
    answer = model.signatures["s"].run(_x(*values), ["y"])["y"].tolist()
    assert answer == [2 * value for value in values]
    assert doubler.sizes == [4, 4, 2]


def test_a_split_request_fails_once(make: Make) -> None:
    """
    One bad part fails the request, and the others are of no use to anybody.
    """
    _, model = make(
        max_batch_size=20, max_execution_batch_size=2, enable_large_batch_splitting=True
    )
    with pytest.raises(ServingError, match="negative"):
        model.signatures["s"].run(_x(1, 2, -3, 4, 5), ["y"])
    assert model.signatures["s"].run(_x(1), ["y"])["y"].tolist() == [2.0]


def test_who_is_late_is_dropped_before_the_model_is_asked(
    make: Make, pool: ThreadPoolExecutor, stats: BatchingStats
) -> None:
    """
    The deadline passes in the queue: the text and the code are TensorFlow Serving's.
    """
    doubler, model = make()
    signature = model.signatures["s"]
    first = _busy(doubler, signature)
    deadline = time.monotonic() + 0.05
    late = _start(signature, 2.0, deadline=deadline)
    waits = pool.submit(signature.run, _x(3.0), ["y"], deadline)
    with pytest.raises(ServingError, match="exceeded while waiting in batching queue") as caught:
        waits.result(LONG)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    doubler.gate.set()
    assert first.result(LONG)["y"].tolist() == [2.0]
    with pytest.raises(ServingError, match="exceeded while waiting in batching queue"):
        late.result(LONG)
    assert doubler.sizes == [1]
    assert stats.read().dropped_count == 1


def test_who_gives_up_while_the_model_computes_is_told_so(
    make: Make, pool: ThreadPoolExecutor
) -> None:
    """
    The deadline passes in the model: that is another code.
    """
    doubler, model = make()
    signature = model.signatures["s"]
    first = _busy(doubler, signature)
    assert first.running()
    error = signature.give_up(first)
    assert (error.code, error.message) == (
        Code.DEADLINE_EXCEEDED,
        "Timed out waiting for notification",
    )
    doubler.gate.set()
    assert first.result(LONG)["y"].tolist() == [2.0]


def test_a_full_queue_refuses_until_the_late_are_gone(make: Make) -> None:
    """
    Those for whom nobody waits do not keep others out.
    """
    doubler, model = make(max_batch_size=1, max_enqueued_batches=2)
    signature = model.signatures["s"]
    _busy(doubler, signature)
    soon = time.monotonic() + 0.2
    dead = [_start(signature, 1.0, deadline=soon) for _ in range(2)]
    with pytest.raises(ServingError, match="currently 2 batches enqueued") as caught:
        _start(signature, 2.0)
    assert caught.value.code is Code.UNAVAILABLE
    until = time.monotonic() + LONG
    accepted = None
    while accepted is None and time.monotonic() < until:
        try:
            accepted = _start(signature, 2.0)
        except errors.UnavailableError:
            continue
    assert accepted is not None
    assert all(future.done() for future in dead)
    doubler.gate.set()
    assert accepted.result(LONG)["y"].tolist() == [4.0]


def test_a_batch_closes_before_a_deadline_would_be_missed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A time-out of a minute does not cost a client his deadline of two seconds.
    """
    # What is left for the way back bears a busy machine, too.
    monkeypatch.setattr(group, "WAY_BACK", 1.5)
    doubler, model = make(batch_timeout=60.0, threads=2)
    signature = model.signatures["s"]
    answer = signature.run(_x(1.0), ["y"], time.monotonic() + 2.0)
    assert answer["y"].tolist() == [2.0]
    assert doubler.sizes == [1]


def test_choices_of_outputs_have_queues_of_their_own(make: Make) -> None:
    """
    Requests that ask for different outputs do not share a batch.
    """
    doubler, model = make()
    signature = model.signatures["s"]
    first = _busy(doubler, signature)
    other = signature.start(_x(3.0), ["z"], None)
    both = signature.start(_x(4.0), ["z", "y"], None)
    assert other is not None
    assert both is not None
    doubler.gate.set()
    assert [sorted(f.result(LONG)) for f in (first, other, both)] == [["y"], ["z"], ["y", "z"]]
    assert doubler.asked == [("y",), ("z",), ("y", "z")]


def test_what_cannot_be_batched_is_computed_as_it_is(make: Make, stats: BatchingStats) -> None:
    """
    No rows, and tensors by name, go to the model directly.
    """
    _, model = make()
    signature = model.signatures["s"]
    assert signature.start(_x(), ["y"], None) is None
    assert signature.run(_x(), ["y"])["y"].shape == (0,)
    assert len(model.run({}, ["a", "b"], [])) == 2
    assert stats.read().wrapped_run_count == 2


def test_help_computes_what_is_cheap_right_here(make: Make) -> None:
    """
    What came in one turn is one batch, and no thread was woken for it.
    """
    doubler, model = make()
    doubler.is_cheap = True
    signature = model.signatures["s"]
    futures = [_start(signature, value) for value in (1.0, 2.0, 3.0)]
    signature.help()
    assert all(future.done() for future in futures)
    assert doubler.sizes == [3]


def test_a_version_goes_when_the_last_request_is_answered(
    make: Make, pool: ThreadPoolExecutor
) -> None:
    """
    Unloading computes what waits at once, and waits for it.
    """
    doubler, model = make(batch_timeout=600.0, max_batch_size=1, max_enqueued_batches=10)
    signature = model.signatures["s"]
    first = _busy(doubler, signature)
    waiting = [_start(signature, 5.0) for _ in range(3)]
    gone = pool.submit(model.unload)
    doubler.gate.set()
    gone.result(LONG)
    assert first.done()
    assert [future.result(0)["y"].tolist() for future in waiting] == [[10.0]] * 3
    inner: Any = model._inner
    assert inner.unloaded


def test_many_threads_lose_nothing(make: Make, pool: ThreadPoolExecutor) -> None:
    """
    A thousand requests from many threads are each answered with their own rows.
    """
    _, model = make(threads=3, max_batch_size=16, max_enqueued_batches=100)
    signature = model.signatures["s"]

    def ask(number: int) -> bool:
        values = [float(number + row) for row in range(number % 4 + 1)]
        answer = signature.run(_x(*values), ["y"], time.monotonic() + LONG)["y"].tolist()
        return bool(answer == [2 * value for value in values])

    assert all(pool.map(ask, range(1000)))
    assert not signature.waiting_rows
