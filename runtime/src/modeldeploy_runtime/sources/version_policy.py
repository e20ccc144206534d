"""
Which of the versions that exist are to be served: pure.

``Latest(2)`` of 1, 2 and 3 gives 3 and 2; ``All()`` gives all three; ``Specific`` gives those that
it names and that exist.
"""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modeldeploy_runtime.servables import ids


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest versions."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class All:
    """Every version."""


@dataclass(frozen=True, slots=True)
class Specific:
    """The named versions, by their numbers."""

    versions: frozenset[int]


VersionPolicy = Latest | All | Specific


class Verdict(enum.Enum):
    """What a look at a version found; one that seems whole is looked at once more."""

    COMPLETE = "complete"
    HOPEFUL = "hopeful"
    LACKING = "lacking"


def choose(
    policy: VersionPolicy, found: Iterable[str], judge: Callable[[str], Verdict]
) -> list[str]:
    """
    Choose among the complete versions that exist, the newest first.

    Judging may cost a look at a storage, so that the newest versions are judged first and no
    more of them than needed.
    """
    newest_first = sorted(found, key=ids.rank, reverse=True)
    if isinstance(policy, Latest):
        return _latest(policy.count, newest_first, judge)
    if isinstance(policy, Specific):
        newest_first = [v for v in newest_first if ids.version_number(v) in policy.versions]
    return [version for version in newest_first if judge(version) is Verdict.COMPLETE]


def _latest(count: int, newest_first: Iterable[str], judge: Callable[[str], Verdict]) -> list[str]:
    chosen: list[str] = []
    hopeful = 0
    for version in newest_first:
        verdict = judge(version)
        if verdict is Verdict.COMPLETE:
            chosen.append(version)
        hopeful += verdict is Verdict.HOPEFUL
        if len(chosen) == count or (hopeful and not chosen and hopeful == count):
            break
    return chosen


def is_version(folder_name: str, *, any_name: bool = False) -> bool:
    """
    Tell whether a folder is a version by its name; names that begin with a dot never are.

    >>> is_version("00000123"), is_version("latest"), is_version("latest", any_name=True)
    (True, False, True)
    """
    if any_name:
        # Headers and metadata carry nothing but ASCII.
        is_text = folder_name.isascii() and folder_name.isprintable()
        return bool(folder_name) and folder_name[0] != "." and is_text
    return ids.parse_number(folder_name) is not None
