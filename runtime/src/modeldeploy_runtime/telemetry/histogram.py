"""
A histogram with many buckets and cheap observations.

``prometheus_client`` looks for the bucket one by one, which costs more than small models do once
the buckets are fine; here it is found by bisection.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


def exponential_buckets(first: float, last: float, factor: float) -> tuple[float, ...]:
    """List bounds that grow by a factor, each rounded to three digits."""
    bounds, bound = [], first
    while bound < last:
        bounds.append(float(f"{bound:.3g}"))
        bound *= factor
    return (*bounds, last)


class _Series:
    __slots__ = ("counts", "total")

    def __init__(self, size: int) -> None:
        self.counts = [0] * size
        self.total = 0.0


class Histogram(Collector):
    """Counts observations by labels; threads may call every method at any time."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._series: dict[tuple[str, ...], _Series] = {}
        self._lock = threading.Lock()

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """Count one value."""
        bucket = bisect_left(self._bounds, value)
        with self._lock:
            series = self._series.get(labels)
            if series is None:
                series = self._series[labels] = _Series(len(self._bounds) + 1)
            series.counts[bucket] += 1
            series.total += value

    def collect(self) -> Iterable[Metric]:
        """Describe all series for a scrape."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        with self._lock:
            copies = [(key, list(s.counts), s.total) for key, s in self._series.items()]
        for labels, counts, total in copies:
            buckets, reached = [], 0
            for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
                reached += count
                buckets.append((bound, float(reached)))
            family.add_metric(labels, buckets, sum_value=total)
        yield family
