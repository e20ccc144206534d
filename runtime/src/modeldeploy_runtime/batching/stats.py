"""
What batching counts, for whoever shows it.

The distributions have TensorFlow Serving's buckets, of its ``batching_session`` metrics.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from modeldeploy_runtime.telemetry import catalogue
from modeldeploy_runtime.telemetry.cells import Distribution
from modeldeploy_runtime.telemetry.exposition import Buckets


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    All counts at one moment.

    ``queuing_latency`` is in microseconds, the sizes are rows; ``padding_size`` is by the size of
    the batch after padding.  ``wrapped_run_count`` counts calls that passed batching by, and
    ``failed_batch_count`` batches that were computed again in parts because they failed as a whole.
    """

    queuing_latency: Buckets
    input_batch_size: Buckets
    processed_batch_size: Buckets
    padding_size: dict[int, Buckets]
    wrapped_run_count: int
    failed_batch_count: int
    dropped_count: int


def _sizes() -> Distribution:
    # The buckets of all three sizes are the same.
    return Distribution(catalogue.TF_PROCESSED_BATCH_SIZE)


@dataclass(slots=True)
class BatchingStats:
    """Counts since the start; threads may call every method at any time."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _latency: Distribution = field(
        default_factory=lambda: Distribution(catalogue.TF_QUEUING_LATENCY)
    )
    _input: Distribution = field(default_factory=_sizes)
    _processed: Distribution = field(default_factory=_sizes)
    _padding: dict[int, Distribution] = field(default_factory=dict)
    _wrapped: int = 0
    _failed: int = 0
    _dropped: int = 0

    def computed(self, sizes: Sequence[int], processed: int) -> None:
        """Count a batch by the rows of its requests and those that the model got."""
        with self._lock:
            for size in sizes:
                self._input.add(size)
            self._processed.add(processed)
            padding = self._padding.get(processed)
            if padding is None:
                padding = self._padding[processed] = _sizes()
            padding.add(processed - sum(sizes))

    def waited(self, seconds: Sequence[float]) -> None:
        """Count how long requests were in the queue."""
        with self._lock:
            for each in seconds:
                self._latency.add(each * 1e6)

    def passed_by(self) -> None:
        """Count a call that went to the model without batching."""
        with self._lock:
            self._wrapped += 1

    def failed(self) -> None:
        """Count a batch that failed as a whole."""
        with self._lock:
            self._failed += 1

    def dropped(self, count: int) -> None:
        """Count requests whose deadline passed in the queue."""
        with self._lock:
            self._dropped += count

    def read(self) -> Snapshot:
        """Copy everything, consistent in itself."""
        with self._lock:
            return Snapshot(
                queuing_latency=self._latency.read(),
                input_batch_size=self._input.read(),
                processed_batch_size=self._processed.read(),
                padding_size={size: counts.read() for size, counts in self._padding.items()},
                wrapped_run_count=self._wrapped,
                failed_batch_count=self._failed,
                dropped_count=self._dropped,
            )
