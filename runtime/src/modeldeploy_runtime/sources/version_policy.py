"""
Which of the versions that exist are to be served: pure.

``Latest(2)`` of 1, 2 and 3 gives 2 and 3; ``All()`` gives all three; ``Specific`` gives those that
it names and that exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latest:
    """The highest version numbers."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class All:
    """Every version."""


@dataclass(frozen=True, slots=True)
class Specific:
    """The named versions."""

    versions: frozenset[int]


VersionPolicy = Latest | All | Specific


def choose(policy: VersionPolicy, found: Iterable[int]) -> frozenset[int]:
    """Choose among the versions that exist."""
    match policy:
        case Latest(count):
            return frozenset(sorted(found)[-count:])
        case All():
            return frozenset(found)
        case Specific(versions):
            return versions.intersection(found)


def parse_version(folder_name: str) -> int | None:
    """
    Read a folder's name as a version number; leading zeros are allowed.

    >>> parse_version("00000123"), parse_version("latest")
    (123, None)
    """
    if not (folder_name.isascii() and folder_name.isdigit()):
        return None
    number = int(folder_name)
    return number if number < 1 << 63 else None
