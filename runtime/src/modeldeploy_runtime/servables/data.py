"""What a source says of one version: something to load, or why there is nothing."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.servables.ids import ServableId

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ServableData(Generic[Value]):
    """
    A wanted version with either a value or an error.

    One that has an error is at its end without a load, and its status says why.
    """

    id: ServableId
    value: Value | ServingError
