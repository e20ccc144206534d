"""How often TensorFlow's sessions ran in this process, and for how long."""

import threading


class Runs:
    """Counts runs; threads may call every method at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._seconds = 0.0

    def note(self, seconds: float) -> None:
        """Count one run."""
        with self._lock:
            self._count += 1
            self._seconds += seconds

    def read(self) -> tuple[int, float]:
        """Give the number of runs and their seconds."""
        with self._lock:
            return self._count, self._seconds


RUNS = Runs()
"""The runs of all models, warm-up included: TensorFlow, too, counts them for the whole process."""
