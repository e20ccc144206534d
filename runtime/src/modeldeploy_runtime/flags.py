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


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """
    What a flag's declaration says beside its type and default.

    ``unused`` is the reason for which a flag of TensorFlow Serving cannot mean anything here;
    ``least`` and ``most`` bound a number, ``choices`` a text; ``shown`` describes a default that
    depends on the machine.
    """

    help: str
    ours: bool = False
    unused: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    shown: str = ""


def flag(default: Any, help_text: str, **more: Any) -> Any:
    """Declare a flag as a field of a dataclass; ``more`` are the other fields of ``About``."""
    return dataclasses.field(default=default, metadata={"about": About(help_text, **more)})


def about(field: "dataclasses.Field[Any]") -> About:
    """Read what a field's declaration says; one that was not made by ``flag`` says nothing."""
    found: About = field.metadata.get("about", About(""))
    return found


def parse(arguments: Sequence[str], settings: type[Settings], place: str = "") -> Settings:
    """
    Read a command line into an instance of a dataclass.

    ``place`` names the field that is given without its name, before, between or after the flags.

    Raises:
        FlagError: A flag is unknown, has a bad value, or a needed one is missing.
    """
    values = read(arguments, settings, place)
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]  # every one is a dataclass
        if field.default is dataclasses.MISSING and field.name not in values:
            name = field.name.upper() if field.name == place else f"--{field.name}"
            raise FlagError(f"{name} is needed.")
    return settings(**values)


def read(arguments: Sequence[str], settings: type[Any], place: str = "") -> dict[str, Any]:
    """
    Read the flags that a command line gives, as values by name; a later one replaces an earlier.

    Raises:
        FlagError: A flag is unknown or has a bad value.
    """
    values, faults = scan(arguments, settings, place)
    for fault in faults:
        raise FlagError(fault)
    return values


def scan(
    arguments: Sequence[str], settings: type[Any], place: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Read a command line to its end; list all that is wrong with it beside what could be read."""
    fields = {field.name: field for field in dataclasses.fields(settings)}
    values: dict[str, Any] = {}
    faults: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if place and place not in values and not argument.startswith("--"):
            values[place] = argument
            continue
        try:
            name, value = _take(argument, rest, fields)
        except FlagError as error:
            faults.append(f"{error}")
        else:
            values[name] = value
    return values, faults


def _take(
    argument: str, rest: list[str], fields: "dict[str, dataclasses.Field[Any]]"
) -> tuple[str, Any]:
    name, text = _split(argument)
    if name not in fields:
        raise FlagError(_unknown(name, fields))
    field = fields[name]
    if text is None:
        text = _next_value(name, field.type, rest)
    return name, _checked(name, _convert(name, text, field.type), about(field))


def _split(argument: str) -> tuple[str, str | None]:
    if not argument.startswith("--") or argument == "--":
        raise FlagError(f'"{argument}" is not a flag; flags look like --port=8500.')
    name, equals, text = argument[2:].partition("=")
    return name.replace("-", "_"), text if equals else None


def _unknown(name: str, fields: "dict[str, dataclasses.Field[Any]]") -> str:
    positive = fields.get(name.removeprefix("no"))
    if positive is not None and positive.type is bool:
        hint = f" Write --{positive.name}=false."
    else:
        similar = difflib.get_close_matches(name, fields, n=1)
        hint = f" Is --{similar[0]} meant?" if similar else ""
    return f"unknown argument: --{name} is not a flag of this server.{hint}"


def _next_value(name: str, kind: Any, rest: list[str]) -> str:
    """Take the value that stands behind a space; a boolean needs none."""
    if kind is bool:
        return rest.pop(0) if rest and rest[0].lower() in _BOOLEANS else "true"
    if not rest:
        raise FlagError(f"--{name} needs a value.")
    return rest.pop(0)


def _convert(name: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        if kind is Duration:
            return _duration(text)
        if kind in {int, float}:
            return kind(text)
    except (KeyError, ValueError):
        wanted = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            Duration: "a time such as 30s",
        }
        raise FlagError(f'--{name} must be {wanted[kind]}, not "{text}".') from None
    return text


def _checked(name: str, value: Any, said: About) -> Any:
    if said.choices and value not in said.choices:
        names = " or ".join(choice for choice in said.choices if choice)
        raise FlagError(f'--{name} must be {names}, not "{value}".')
    if said.least is not None and not value >= said.least:
        raise FlagError(f'--{name} must be at least {said.least}, not "{value}".')
    if said.most is not None and not value <= said.most:
        raise FlagError(f'--{name} must be at most {said.most}, not "{value}".')
    return value


def _duration(text: str) -> Duration:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return Duration(float(match[1]) * _UNITS[match[2]])
