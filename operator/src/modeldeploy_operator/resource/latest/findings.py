"""
What a watcher found below a base path.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What the watcher found.

    Attributes:
        looked: Whether it has looked at the storage at all.
        complete: The newest complete versions.
        incomplete: Versions that are not complete, each with what it lacks.
        code: Why it could not look the last time; empty if it could.
        message: The same as a sentence.

    """

    looked: bool = False
    complete: tuple[str, ...] = ()
    incomplete: tuple[tuple[str, str], ...] = ()
    code: str = ""
    message: str = ""
