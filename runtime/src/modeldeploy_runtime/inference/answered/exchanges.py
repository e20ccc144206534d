"""
Answered inferences, as whoever records them sees them: what was asked, and what came of it.

Arrays and messages are those of the request itself and must not be changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modeldeploy_runtime.inference.classify import Classifications
from modeldeploy_runtime.inference.multi_inference import Task
from modeldeploy_runtime.telemetry.calls import Call
from modeldeploy_runtime.tensors.dtypes import Array


@dataclass(frozen=True, slots=True)
class Predicted:
    """A prediction: named tensors in, named tensors out."""

    inputs: Mapping[str, Array]
    output_filter: Sequence[str]
    outputs: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Classified:
    """A classification of the examples in an ``Input`` message."""

    given: Any
    found: Classifications


@dataclass(frozen=True, slots=True)
class Regressed:
    """A regression of the examples in an ``Input`` message; a float32 for each, shape (n,)."""

    given: Any
    found: Array


@dataclass(frozen=True, slots=True)
class MultiInferred:
    """Several classifications and regressions of the same examples, in the tasks' order."""

    tasks: Sequence[Task]
    given: Any
    found: Sequence[Classifications | Array]


Exchange = Predicted | Classified | Regressed | MultiInferred


class Recorder(Protocol):
    """Keeps a sample of what was asked and answered; must be quick, and never raise."""

    def wants(self, model: str) -> bool:
        """Tell whether the request that was just answered belongs to the sample."""

    def record(self, call: Call, exchange: Exchange) -> None:
        """Take an answered inference."""
