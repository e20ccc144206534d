"""
Names of servables, and the ways in which a client may choose one.

A version is the name of its folder.  Where that is a number it is the version's number too, as in
TensorFlow Serving; any other name gets a number of at least 2**62 that follows from the name alone,
for messages that can carry nothing else.
"""

import hashlib
import re
from dataclasses import dataclass, field

FIRST_DERIVED = 1 << 62
"""Numbers from here on stand for versions whose names are no numbers."""

_DIGITS = re.compile(r"([0-9]+)")

Rank = tuple[tuple[str | int, ...], str]


@dataclass(frozen=True, slots=True, order=True)
class ServableId:
    """One version of one model; the number tells versions apart, the name is for people."""

    name: str
    version: int
    version_name: str = field(default="", compare=False)

    @property
    def version_text(self) -> str:
        """The version as people know it: its number, or else its name."""
        return self.version_name if self.is_named else str(self.version)

    @property
    def is_named(self) -> bool:
        """Whether the version's name is no number, so that its number says nothing to people."""
        return bool(self.version_name) and parse_number(self.version_name) is None

    @property
    def rank(self) -> Rank:
        """What sorts versions from the oldest to the newest."""
        return rank(self.version_text)

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.version_text}}}"


@dataclass(frozen=True, slots=True)
class Selector:
    """
    What a request asks for: a model, and perhaps a version or a label.

    Where neither is given, the newest available version is meant.
    """

    name: str
    version: int | None = None
    label: str | None = None
    version_name: str = field(default="", compare=False)

    @classmethod
    def of_version(cls, name: str, text: str) -> "Selector":
        """Choose a version by its number or name."""
        return cls(name, version_number(text), version_name=text)

    def __str__(self) -> str:
        if self.version is None:
            return f"Latest({self.name})"
        return f"Specific({self.name}, {self.version_text})"

    @property
    def version_text(self) -> str:
        """The version that is asked for, as people know it."""
        is_number = not self.version_name or parse_number(self.version_name) is not None
        return str(self.version) if is_number else self.version_name


def parse_number(name: str) -> int | None:
    """
    Read a folder's name as a version number; leading zeros are allowed.

    >>> parse_number("00000123"), parse_number("latest")
    (123, None)
    """
    if not (name.isascii() and name.isdigit()):
        return None
    number = int(name)
    return number if number < 1 << 63 else None


def is_too_large(text: str) -> bool:
    """Tell whether a text is a number, but none that a version can have."""
    return text.isascii() and text.isdigit() and parse_number(text) is None


def version_number(name: str) -> int:
    """
    Find the number of a version: its own, or one that follows from its name for ever.

    >>> version_number("007"), version_number("2024-11-05T10-00") >= 2**62
    (7, True)
    """
    number = parse_number(name)
    if number is not None:
        return number
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return FIRST_DERIVED + int.from_bytes(digest[:8], "big") % FIRST_DERIVED


def text(number: int, name: str) -> str:
    """
    Write a version as clients name it: its number, or the name of one that is no number.

    >>> text(7, "007"), text(version_number("new"), "new")
    ('7', 'new')
    """
    return name if name and number >= FIRST_DERIVED else str(number)


def rank(version_name: str) -> Rank:
    """
    Order versions: runs of digits count as numbers, so that numbers rank by value.

    >>> sorted(["v10", "10", "v9", "9", "2024-02-01"], key=rank)
    ['9', '10', '2024-02-01', 'v9', 'v10']
    """
    parts = _DIGITS.split(version_name)
    key = tuple(int(part) if index % 2 else part for index, part in enumerate(parts))
    return key, version_name
