"""
One request on its way through a queue, and its answer.

A task may be computed in several pieces, by several threads; its future is set once.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future

import numpy as np

from modeldeploy_runtime.batching.batch_queue import Piece
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors.dtypes import Array

Outputs = dict[str, Array]


class Task:
    """
    The inputs of a request, and the promise of its outputs.

    ``deadline`` and ``queued_at`` are times of one monotonic clock in seconds; who gives up waiting
    cancels the future, which works until the model has been asked.
    """

    __slots__ = ("_lock", "_parts", "deadline", "future", "inputs", "queued_at", "size")

    def __init__(
        self, inputs: Mapping[str, Array], size: int, deadline: float, queued_at: float
    ) -> None:
        self.inputs = inputs
        self.size = size
        self.deadline = deadline
        self.queued_at = queued_at
        self.future: Future[Outputs] = Future()
        self._lock = threading.Lock()
        self._parts: dict[int, Outputs] = {}

    def begin(self) -> bool:
        """Tell whether the task still has to be computed; from here on it cannot be cancelled."""
        with self._lock:
            if self.future.running():
                return True
            return not self.future.done() and self.future.set_running_or_notify_cancel()

    def answer(self, piece: "Piece[Task]", outputs: Outputs) -> None:
        """Give the outputs of a piece; the last one completes the answer."""
        if piece.size < self.size:
            with self._lock:
                self._parts[piece.start] = outputs
                rows = sum(len(next(iter(part.values()))) for part in self._parts.values())
                if rows < self.size:
                    return
            try:
                outputs = self._join()
            except ValueError:
                self.fail(errors.PreconditionError(_UNEVEN))
                return
        with self._lock:
            if not self.future.done():
                self.future.set_result(outputs)

    def fail(self, error: BaseException) -> None:
        """Give an error instead of outputs; the first one counts."""
        with self._lock:
            if not self.future.done():
                self.future.set_exception(error)

    def _join(self) -> Outputs:
        parts = [self._parts[start] for start in sorted(self._parts)]
        return {alias: np.concatenate([part[alias] for part in parts]) for alias in parts[0]}


_UNEVEN = (
    "The request was split over several batches, and the shapes of their outputs do not fit "
    "together; send fewer rows at once."
)
