"""What has been compared with one target, and what was skipped, for the metrics."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

from modeldeploy_runtime.telemetry import catalogue
from modeldeploy_runtime.telemetry.cells import Distribution
from modeldeploy_runtime.telemetry.exposition import Definition, Family
from modeldeploy_runtime.tensors.comparing import SAME, Comparison

# Why a request of the sample was not compared.
QUEUE_FULL, TOO_LARGE, PINNED = "queue_full", "too_large", "pinned"
UNSUPPORTED, TARGET_FAILED = "unsupported", "target_failed"
SKIPPED = (QUEUE_FULL, TOO_LARGE, PINNED, UNSUPPORTED, TARGET_FAILED)
# How an answer was not the same.
DIFFERENT, REFUSED = "different", "refused"
MISMATCHED = (DIFFERENT, REFUSED)


class Counts:
    """Threads may call every method at any time."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._started = time.time()
        self._lock = threading.Lock()
        self._skipped: Counter[str] = Counter()
        self._mismatched: Counter[str] = Counter()
        self._compared = 0
        self._sum = SAME
        self._why = ""
        self._seconds = {
            side: Distribution(catalogue.SHADOW_DURATION) for side in ("here", "target")
        }

    @property
    def last_mismatch(self) -> str:
        """How the last answer differed that was not the same; empty while none was."""
        return self._why

    def skip(self, reason: str) -> None:
        """Count a request that is not compared."""
        with self._lock:
            self._skipped[reason] += 1

    def compare(self, comparison: Comparison, here: float, target: float) -> None:
        """Count a request that was answered twice, in so many seconds here and at the target."""
        with self._lock:
            self._compared += 1
            self._sum += comparison
            self._seconds["here"].add(here)
            self._seconds["target"].add(target)
            if not comparison.matches:
                self._mismatched[DIFFERENT] += 1
                self._why = comparison.why

    def refuse(self, why: str) -> None:
        """Count a request that the target refused, though it was answered here."""
        with self._lock:
            self._compared += 1
            self._mismatched[REFUSED] += 1
            self._why = why

    def read(self) -> Iterator[Family]:
        """Copy everything, consistent in itself."""
        with self._lock:
            done, compared = self._sum, self._compared
            skipped = {reason: self._skipped[reason] for reason in SKIPPED}
            mismatched = {reason: self._mismatched[reason] for reason in MISMATCHED}
            seconds = {side: cell.read() for side, cell in self._seconds.items()}
        yield self._one(catalogue.SHADOW_STARTED, self._started)
        yield self._one(catalogue.SHADOW_COMPARED, compared)
        yield self._one(catalogue.SHADOW_VALUES, done.values)
        yield self._one(catalogue.SHADOW_DIFFERENCE, done.total)
        yield self._one(catalogue.SHADOW_LARGEST, done.largest)
        yield self._one(catalogue.SHADOW_ROWS, done.rows)
        yield self._one(catalogue.SHADOW_FLIPS, done.flips)
        for definition, counted in (
            (catalogue.SHADOW_MISMATCHED, mismatched),
            (catalogue.SHADOW_SKIPPED, skipped),
            (catalogue.SHADOW_DURATION, seconds),
        ):
            yield Family(definition, {(key, self._target): n for key, n in counted.items()})

    def _one(self, definition: Definition, value: float) -> Family:
        return Family(definition, {(self._target,): value})
