"""
Command line flags as TensorFlow Serving writes them.

``--flag=value``, ``--flag value`` and a bare ``--flag`` for booleans are understood, dashes inside
a name count as underscores, and the fields of a frozen dataclass say which flags there are.  An
unknown flag or a bad value is an error in one sentence.
"""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import Any, TypeVar

Settings = TypeVar("Settings")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {None: 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class FlagError(Exception):
    """The command line is wrong; the message is a sentence for the person who wrote it."""


class Duration(float):
    """Seconds, written as ``30``, ``30s``, ``500ms`` or ``1m``."""

    __slots__ = ()


def parse(arguments: Sequence[str], settings: type[Settings]) -> Settings:
    """
    Read a command line into an instance of a dataclass.

    Raises:
        FlagError: A flag is unknown, has a bad value, or a needed one is missing.
    """
    declared = dataclasses.fields(settings)  # type: ignore[arg-type]  # every settings class is one
    fields = {field.name: field for field in declared}
    values: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        name, text = _split(rest.pop(0))
        if name not in fields:
            raise FlagError(_unknown(name, list(fields)))
        kind = fields[name].type
        if text is None and kind is not bool:
            if not rest:
                raise FlagError(f"--{name} needs a value.")
            text = rest.pop(0)
        values[name] = _convert(name, "true" if text is None else text, kind)
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in values:
            raise FlagError(f"--{name} is needed.")
    return settings(**values)


def _split(argument: str) -> tuple[str, str | None]:
    if not argument.startswith("--") or argument == "--":
        raise FlagError(f'"{argument}" is not a flag; flags look like --port=8500.')
    name, equals, text = argument[2:].partition("=")
    return name.replace("-", "_"), text if equals else None


def _unknown(name: str, known: list[str]) -> str:
    similar = difflib.get_close_matches(name, known, n=1)
    hint = f" Is --{similar[0]} meant?" if similar else ""
    return f"unknown argument: --{name} is not a flag of this server.{hint}"


def _convert(name: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        if kind is int:
            return int(text)
        if kind is Duration:
            return _duration(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", Duration: "a time such as 30s"}
        raise FlagError(f'--{name} must be {wanted[kind]}, not "{text}".') from None
    return text


def _duration(text: str) -> Duration:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return Duration(float(match[1]) * _UNITS[match[2]])
