"""
Pins: a version or label that a header (REST) or metadata (gRPC) asks for: pure.

They are for clients that cannot change the path or the message, and for proxies that read no
messages.  A path or message that chooses for itself must agree: a request that asks for two things
is refused, as no answer would be right.

A router that knows labels which this server does not know says what one means: ``PIN`` holds a
version and the label that the router has made it of.
"""

from collections.abc import Iterable
from dataclasses import replace

from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.servables.ids import Selector

VERSION, LABEL = "x-model-version", "x-model-label"
PIN = "x-modeldeploy-pin"
_NAMES = frozenset({VERSION.encode(), LABEL.encode(), PIN.encode()})


def among(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Find the pins among a request's headers, given with names in lower case."""
    return [(name.decode(), value.decode("latin-1")) for name, value in headers if name in _NAMES]


def choose(named: Selector, headers: Iterable[tuple[str, str]]) -> Selector:
    """
    Join what a path or message names with what headers, given with names in lower case, ask for.

    Raises:
        InvalidArgumentError: They do not agree, or a version can be none.
    """
    given = list(headers)
    known = _resolved(given)
    named = _resolve(named, known)
    for name, value in given:
        if name == VERSION:
            named = _join(named, _version(named.name, value))
        elif name == LABEL:
            named = _join(named, _resolve(Selector(named.name, label=value), known))
    return named


def _resolved(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Read what a router says that labels mean."""
    known = {}
    for name, value in headers:
        version, _, label = value.partition(" ")
        if name == PIN and version and label:
            known[label] = version
    return known


def _resolve(selector: Selector, known: dict[str, str]) -> Selector:
    if selector.label is None or selector.label not in known:
        return selector
    return _version(selector.name, known[selector.label])


def _version(name: str, text: str) -> Selector:
    if not text or ids.is_too_large(text):
        raise InvalidArgumentError(
            f'{VERSION} must be the number or name of a version, not "{text}".'
        )
    return Selector.of_version(name, text)


def _join(named: Selector, pin: Selector) -> Selector:
    if named.version is None and named.label is None:
        return replace(pin, name=named.name)
    if named != pin and not _is_same_name(named, pin):
        raise InvalidArgumentError(
            f"The request asks for {_show(named)} and for {_show(pin)}; it may ask for one only."
        )
    return named


def _is_same_name(one: Selector, other: Selector) -> bool:
    """Tell whether a version and a label are one name, which is no number and so a version's."""
    names = {selector.label or selector.version_text for selector in (one, other)}
    return len(names) == 1 and ids.parse_number(names.pop()) is None


def _show(selector: Selector) -> str:
    if selector.label is not None:
        return f'the label "{selector.label}"'
    return f"version {selector.version_text}"
