"""
Filling in what a check says of the canary that it is about. A pure module.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_PLACE = re.compile(r"\{\{([A-Za-z]+)\}\}")


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What may be filled in; the names are those of the placeholders.
    """

    name: str
    namespace: str
    model: str
    canary: str
    canaryVersion: str  # noqa: N815 - the placeholder's name
    stable: str
    stableVersion: str  # noqa: N815 - the placeholder's name


def fill(text: str, facts: Facts, quote: Callable[[str], str]) -> str:
    """
    Put the facts into a text, each quoted for where it goes.
    """
    return _PLACE.sub(lambda match: quote(str(getattr(facts, match[1]))), text)


def in_query(value: str) -> str:
    """
    Quote a value for a string of PromQL.
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'").replace("`", "")
