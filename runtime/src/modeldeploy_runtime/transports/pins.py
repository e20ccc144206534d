"""
Pins: a version or label that a header (REST) or metadata (gRPC) asks for: pure.

They are for clients that cannot change the path or the message, and for proxies that read no
messages.  A path or message that chooses for itself must agree: a request that asks for two things
is refused, as no answer would be right.
"""

from collections.abc import Iterable
from dataclasses import replace

from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.servables.ids import Selector

VERSION, LABEL = "x-model-version", "x-model-label"
_NAMES = frozenset({VERSION.encode(), LABEL.encode()})


def among(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Find the pins among a request's headers, given with names in lower case."""
    return [(name.decode(), value.decode("latin-1")) for name, value in headers if name in _NAMES]


def choose(named: Selector, headers: Iterable[tuple[str, str]]) -> Selector:
    """
    Join what a path or message names with what headers, given with names in lower case, ask for.

    Raises:
        InvalidArgumentError: They do not agree, or a version can be none.
    """
    for name, value in headers:
        if name == VERSION:
            named = _join(named, _version(named.name, value))
        elif name == LABEL:
            named = _join(named, Selector(named.name, label=value))
    return named


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
