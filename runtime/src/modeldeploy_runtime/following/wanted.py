"""The list of versions that a folder is to hold, and what it takes to get there: pure."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.fetching import uris


class ListError(ValueError):
    """The list cannot be read; the folder is left as it is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One version of the list.

    ``against`` names a file beside the list with what clients of the served version know.
    """

    version: str
    digest: str = ""
    required: tuple[str, ...] = ()
    against: str = ""
    compatibility: str = "Strict"


def read(text: str) -> tuple[Entry, ...]:
    """
    Read the list.

    >>> read('{"versions": [{"version": "2"}]}')[0].version
    '2'

    Raises:
        ListError: It is no such list, or a version in it can be no folder.
    """
    try:
        return tuple(_entry(item) for item in json.loads(text)["versions"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ListError(f"The list of versions cannot be read: {error!r}") from error


def _entry(item: Mapping[str, Any]) -> Entry:
    against = str(item.get("against", ""))
    if "/" in against:
        raise ListError(f"{against} is not beside the list")
    try:
        version = uris.check_version(str(item["version"]))
    except Exception as error:
        raise ListError(str(error)) from error
    return Entry(
        version,
        str(item.get("digest", "")),
        tuple(map(str, item.get("required", []))),
        against,
        str(item.get("compatibility", "Strict")),
    )


def leaving(entries: Collection[Entry], held: Collection[str]) -> list[str]:
    """
    Find what the folder holds and is to hold no longer.

    >>> leaving(read('{"versions": [{"version": "2"}]}'), ["1", "2"])
    ['1']
    """
    kept = {entry.version for entry in entries}
    return sorted(version for version in held if version not in kept)
