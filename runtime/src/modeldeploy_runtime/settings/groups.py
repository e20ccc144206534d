"""All flags of the server, in the order in which help and reference list them."""

from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.settings.foreign import ForeignFlags
from modeldeploy_runtime.settings.limits import LimitFlags
from modeldeploy_runtime.settings.loading import BatchingFlags, LoadFlags, TensorflowFlags
from modeldeploy_runtime.settings.models import ModelFlags, SourceFlags
from modeldeploy_runtime.settings.network import GrpcFlags, RestFlags, StopFlags
from modeldeploy_runtime.settings.program import (
    ObservationFlags,
    ProgramFlags,
    RequestLoggingFlags,
)


@dataclass(frozen=True)
class Settings(
    ModelFlags,
    SourceFlags,
    LoadFlags,
    TensorflowFlags,
    BatchingFlags,
    GrpcFlags,
    RestFlags,
    LimitFlags,
    ObservationFlags,
    RequestLoggingFlags,
    StopFlags,
    ProgramFlags,
    ForeignFlags,
):
    """What the command line says; docs/reference/runtime-flags.md lists what each field means."""


GROUPS: tuple[type[Any], ...] = Settings.__bases__
"""The same groups, each with its own fields and a title as its docstring."""
