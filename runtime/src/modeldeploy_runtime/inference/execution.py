"""
Runs models: every inference of every kind comes through here, and nothing else calls a model.

A deadline is a time of ``time.monotonic``, in seconds; ``None`` means that nobody is in a hurry.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from modeldeploy_runtime.loaders.port import Model, Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors.dtypes import Array


class _Clock(threading.local):
    """
    How long models ran in this thread since somebody asked, in seconds.

    ``started`` is the time of the last start by ``time.perf_counter``.
    """

    started = 0.0
    seconds = 0.0


_clock = _Clock()


@dataclass(frozen=True, slots=True)
class Question:
    """What a signature is asked: the named outputs for a value of each of its inputs."""

    signature: Signature
    inputs: Mapping[str, Array]
    outputs: Iterable[str]


def run_signature(question: Question, deadline: float | None) -> dict[str, Array]:
    """
    Compute the outputs that are asked for.

    Raises:
        DeadlineError: It is too late already; the model is not asked.
        ServingError: The model fails on the inputs.
    """
    check_deadline(deadline)
    started = _clock.started = time.perf_counter()
    try:
        return question.signature.run(question.inputs, question.outputs, deadline)
    finally:
        _clock.seconds += time.perf_counter() - started


def start_signature(question: Question, deadline: float | None) -> Future[dict[str, Array]] | None:
    """
    Leave a question in its signature's queue; there is no future for one that has to be run.

    Raises:
        DeadlineError: It is too late already; the model is not asked.
        ServingError: The inputs cannot be queued.
    """
    check_deadline(deadline)
    queue = question.signature.queue
    if queue is None:
        return None
    return queue.start(question.inputs, question.outputs, deadline)


def run_graph(
    model: Model,
    feeds: Mapping[str, Array],
    fetches: Sequence[str],
    deadline: float | None,
    targets: Sequence[str] = (),
) -> list[Array]:
    """
    Compute tensors of a model's graph, all of them by the names that they have there.

    Raises:
        DeadlineError: It is too late already; the model is not asked.
        ServingError: There is no such tensor, or the model fails.
    """
    check_deadline(deadline)
    started = _clock.started = time.perf_counter()
    try:
        return model.run(feeds, fetches, targets)
    finally:
        _clock.seconds += time.perf_counter() - started


def take_run() -> tuple[float, float]:
    """
    Tell when the model was last called in this thread, and for how many seconds, queues included.

    The start is a time of ``time.perf_counter``; both are 0 if it was not called since somebody
    asked last.
    """
    taken = _clock.started, _clock.seconds
    _clock.started = _clock.seconds = 0.0
    return taken


def check_deadline(deadline: float | None) -> None:
    """
    Refuse what would come too late.

    Raises:
        DeadlineError: The deadline has passed.
    """
    if deadline is not None and time.monotonic() >= deadline:
        raise too_late()


def too_late() -> errors.DeadlineError:
    """Say that time is up, as TensorFlow says it."""
    return errors.DeadlineError("Timed out waiting for notification")
