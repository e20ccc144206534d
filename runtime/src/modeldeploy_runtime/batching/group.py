"""
Computes batches: the requests that ask one signature of one version for the same outputs.

A batch that fails is computed again in halves, so that a request which the model refuses fails
alone: one bad request among n costs about 2 log2(n) calls more, and n bad ones n - 1 of them.
"""

import time
from collections.abc import Mapping, Sequence

from modeldeploy_runtime.batching import merging
from modeldeploy_runtime.batching.batch_queue import Piece
from modeldeploy_runtime.batching.parameters import BatchingParameters
from modeldeploy_runtime.batching.stats import BatchingStats
from modeldeploy_runtime.batching.tasks import Outputs, Task
from modeldeploy_runtime.loaders.port import Signature
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.tensors.dtypes import Array

# How much the newest batch counts in the expected time of the next one.
NEWEST = 0.2
# A deadline needs so many times the expected time, and so many seconds besides for the way back.
SAFETY, WAY_BACK = 2.0, 0.02

Pieces = Sequence[Piece[Task]]


class SignatureGroup:
    """The requests that ask one signature for the same outputs."""

    def __init__(
        self,
        signature: Signature,
        outputs: tuple[str, ...],
        parameters: BatchingParameters,
        stats: BatchingStats,
    ) -> None:
        self.options = parameters.queue
        self._expected = 0.0
        self._signature = signature
        self._outputs = outputs
        self._parameters = parameters
        self._stats = stats

    @property
    def run_seconds(self) -> float:
        """How long before a deadline a batch must begin."""
        return SAFETY * self._expected + WAY_BACK

    @property
    def is_cheap(self) -> bool:
        """Whether a batch is over so soon that another thread would only add to it."""
        return self._signature.is_cheap

    def compute(self, pieces: Pieces) -> None:
        """Answer all pieces for which somebody still waits."""
        now = time.monotonic()
        late = [piece for piece in pieces if piece.task.deadline <= now]
        if late:
            self.drop(late)
        live = [p for p in pieces if p.task.deadline > now and p.task.begin()]
        if self._parameters.pad_variable_length_inputs:
            live = _refuse_unpaddable(live)
        if live:
            self._stats.waited([now - piece.task.queued_at for piece in live if not piece.start])
            self._compute(live)
            seconds = time.monotonic() - now
            self._expected += NEWEST * (seconds - self._expected)

    def drop(self, pieces: Pieces) -> None:
        """Tell those whose deadline has passed so."""
        waiting = [piece.task for piece in pieces if piece.task.begin()]
        for task in waiting:
            task.fail(late_in_queue())
        self._stats.dropped(len(waiting))

    def _compute(self, pieces: Pieces) -> None:
        try:
            answers = self._together(pieces)
        except errors.ServingError as error:
            if len(pieces) == 1:
                pieces[0].task.fail(error)
                return
            self._stats.failed()
            middle = len(pieces) // 2
            self._compute(pieces[:middle])
            self._compute(pieces[middle:])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            for piece in pieces:
                piece.task.fail(error)
        else:
            for piece, outputs in zip(pieces, answers, strict=True):
                piece.task.answer(piece, outputs)

    def _together(self, pieces: Pieces) -> list[Outputs]:
        requests = [_inputs(piece) for piece in pieces]
        sizes = [piece.size for piece in pieces]
        rows = sum(sizes)
        processed = self._parameters.padded_size(rows)
        widest = None
        if self._parameters.pad_variable_length_inputs and len(pieces) > 1:
            widest = merging.widest_rows(requests)
        merged = merging.merge(requests, processed - rows, widest)
        self._stats.computed(sizes, processed)
        outputs = self._signature.run(merged, self._outputs)
        answers = merging.split(outputs, sizes, processed - rows)
        if widest is None:
            return answers
        specs = self._signature.outputs
        return [
            merging.trim(answer, request, widest, specs)
            for answer, request in zip(answers, requests, strict=True)
        ]


def _inputs(piece: Piece[Task]) -> Mapping[str, Array]:
    task = piece.task
    if piece.size == task.size:
        return task.inputs
    rows = slice(piece.start, piece.stop)
    return {alias: array[rows] for alias, array in task.inputs.items()}


def _refuse_unpaddable(pieces: Pieces) -> list[Piece[Task]]:
    """Fail those that cannot be padded to the others' shape, and keep the others."""
    if len(pieces) < 2:
        return list(pieces)
    widest = merging.widest_rows([piece.task.inputs for piece in pieces])
    kept = []
    for piece in pieces:
        try:
            merging.check_padding(piece.task.inputs, widest)
            kept.append(piece)
        except errors.InvalidArgumentError as error:
            piece.task.fail(error)
    return kept


def late_in_queue() -> errors.ResourceError:
    """Say that the deadline passed while the request waited, as TensorFlow Serving says it."""
    return errors.ResourceError("Run() timeout exceeded while waiting in batching queue")
