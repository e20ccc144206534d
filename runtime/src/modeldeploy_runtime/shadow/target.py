"""Whom a sample of the requests is asked of, and what is called the same answer: pure."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.tensors import json_values

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[^\s/]{1,253}:[0-9]{1,5}")
_FIELDS = ("name", "model", "address", "percent", "tolerance")
_SECURE_FIELDS = ("root_certificates", "server_name")


@dataclass(frozen=True, slots=True)
class Target:
    """
    A server that is asked again.

    Attributes:
        name: What the metrics call it; another name begins to count anew.
        model: The model whose requests are taken, on both servers.
        address: Where it speaks gRPC, as ``HOST:PORT``.
        percent: The share of the requests that is taken, above 0 to 100.
        tolerance: How far numbers may differ, as ``tensors.comparing`` says.
        root_certificates: Who signed its certificate, as PEM; empty where it is asked plainly.
        server_name: The host that its certificate is for; empty for the address itself.
    """

    name: str
    model: str
    address: str
    percent: float
    tolerance: float
    root_certificates: str = ""
    server_name: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give what ``read`` takes."""
        secure = [name for name in _SECURE_FIELDS if getattr(self, name)]
        return {name: getattr(self, name) for name in (*_FIELDS, *secure)}


def read(value: Any) -> Target:
    """
    Read a target from JSON.

    Raises:
        InvalidArgumentError: A field is missing, unknown or wrong.
    """
    if not isinstance(value, dict):
        raise InvalidArgumentError("A target is a JSON object.")
    for unknown in sorted(value.keys() - {*_FIELDS, *_SECURE_FIELDS}):
        raise InvalidArgumentError(f"A target has no field {unknown!r}.")
    target = Target(
        name=_text("name", value),
        model=_text("model", value),
        address=_text("address", value),
        percent=_number("percent", value),
        tolerance=_number("tolerance", value),
        **{name: _text(name, value) for name in _SECURE_FIELDS if name in value},
    )
    for fault in _faults(target):
        raise InvalidArgumentError(fault)
    return target


def _faults(target: Target) -> Iterator[str]:
    if not _NAME.fullmatch(target.name):
        yield "A target's name has at most 63 letters, digits, dashes, dots and underscores."
    if not _ADDRESS.fullmatch(target.address):
        yield "A target's address is HOST:PORT."
    if not 0 < target.percent <= 100:
        yield "A target's percent is above 0 and at most 100."
    if target.server_name and not target.root_certificates:
        yield "A target's server_name needs root_certificates."
    if target.tolerance < 0:
        yield "A target's tolerance is not negative."


def _text(name: str, target: Mapping[str, Any]) -> str:
    value = target.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidArgumentError(f"A target needs a {name}, which is a text.")
    return value


def _number(name: str, target: Mapping[str, Any]) -> float:
    value: Any = target.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    number = json_values.as_float(value) if is_number else math.nan
    if not math.isfinite(number):
        raise InvalidArgumentError(f"A target needs a {name}, which is a number.")
    return number
