"""
Writes metrics in Prometheus' text format: pure.

TensorFlow Serving's exporter leaves out ``# HELP``, writes ``name{} 1`` where there is no label,
and rounds bounds to six digits; its own names, which begin with a colon, are written that way here.
It does not escape line feeds in labels, which breaks the page, and rounds sums to six digits, which
spoils rates: in these two points this module does what Prometheus asks for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """
    One metric: its name, kind, labels and meaning.

    ``kind`` is ``counter``, ``gauge`` or ``histogram``; ``bounds`` are the upper bounds of a
    histogram's buckets, the last one apart, which has none.
    """

    name: str
    kind: str
    labels: Labels
    meaning: str
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram's series: how many values each bucket holds, and the sum of the values."""

    counts: Sequence[int]
    total: float


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one metric, by the values of its labels."""

    definition: Definition
    series: Mapping[Labels, float | Buckets] = field(default_factory=dict)


def write(families: Iterable[Family]) -> str:
    """Write families one after the other; a family without series still shows its type."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    metric = family.definition
    if not metric.name.startswith(":"):
        yield f"# HELP {metric.name} {metric.meaning}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for values, series in family.series.items():
        pairs = [
            f'{label}="{_escape(value)}"'
            for label, value in zip(metric.labels, values, strict=True)
        ]
        labels = ",".join(pairs)
        if isinstance(series, Buckets):
            yield from _histogram(metric, labels, series)
        else:
            yield f"{metric.name}{{{labels}}} {series}"


def _histogram(metric: Definition, labels: str, series: Buckets) -> Iterator[str]:
    before = f"{metric.name}_bucket{{{labels}," if labels else f"{metric.name}_bucket{{"
    reached = 0
    shown = _rounded if metric.name.startswith(":") else str
    for bound, count in zip((*map(shown, metric.bounds), "+Inf"), series.counts, strict=True):
        reached += count
        yield f'{before}le="{bound}"}} {reached}'
    yield f"{metric.name}_sum{{{labels}}} {series.total}"
    yield f"{metric.name}_count{{{labels}}} {reached}"


def _rounded(bound: float) -> str:
    return f"{bound:.6g}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """List bounds as TensorFlow's exponential buckets: ``scale``, ``scale * growth``, …"""
    bounds, bound = [], scale
    for _ in range(count):
        bounds.append(bound)
        bound *= growth
    return tuple(bounds)


def fine(first: float, last: float, growth: float) -> tuple[float, ...]:
    """List bounds from the first to the last that grow by a factor, each rounded to 3 digits."""
    bounds, bound = [], first
    while bound < last:
        bounds.append(float(f"{bound:.3g}"))
        bound *= growth
    return (*bounds, last)
