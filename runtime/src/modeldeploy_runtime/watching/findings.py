"""
What is found below a base path: which versions are complete, and what the others lack.

A version counts as complete at once where it says so itself, by ``_SUCCESS`` or a manifest, and
else once its files stayed the same for as long as a person decides.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from modeldeploy_runtime.fetching.errors import Code, FetchError, classify
from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.sources import completeness, version_policy
from modeldeploy_runtime.sources.places import Listing, Place

KEPT = 5
"""So many complete versions are told, the newest; older ones are not looked at."""

_ORDERED = re.compile(r"[0-9]+([-_.T][0-9]+)*Z?")

NAMES: Mapping[str, Callable[[str], bool]] = {
    "numbers": version_policy.is_version,
    "ordered": lambda name: _ORDERED.fullmatch(name) is not None and not ids.is_too_large(name),
    "any": lambda name: version_policy.is_version(name, any_name=True),
}
"""Which folders are versions: those that are numbers, dates or times, too, or any."""

_MARKERS = frozenset({completeness.MARKER, completeness.MANIFEST})


@dataclass(frozen=True, slots=True)
class Findings:
    """
    What is known after a look; of a look that failed, what was known before and why it failed.

    Attributes:
        looked: Whether any look succeeded.
        complete: The newest complete versions, the newest first.
        incomplete: Version to what it lacks, for those among them that are not complete.
        code: Why the last look failed, such as ``StorageUnavailable``; empty if it did not.
        message: The same as a sentence.
    """

    looked: bool = False
    complete: tuple[str, ...] = ()
    incomplete: Mapping[str, str] | None = None
    code: str = ""
    message: str = ""

    def to_json(self) -> str:
        """Write them as the object that the port serves."""
        problem = {"code": self.code, "message": self.message} if self.code else None
        return json.dumps(
            {
                "looked": self.looked,
                "complete": list(self.complete),
                "incomplete": [
                    {"version": version, "message": why}
                    for version, why in (self.incomplete or {}).items()
                ],
                "problem": problem,
            }
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """A listing of a version, and since when it has been the same."""

    listing: Listing
    since: float


class Finder:
    """Looks at a base path again and again; used by one thread."""

    def __init__(
        self,
        place: Place,
        settle_seconds: float,
        clock: Callable[[], float],
        is_version: Callable[[str], bool],
    ) -> None:
        self._place = place
        self._settle = settle_seconds
        self._clock = clock
        self._is_version = is_version
        self._complete: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._settles_at: float | None = None
        self.findings = Findings()

    def look(self) -> Findings:
        """Look once; what was known stays known where the storage fails."""
        self._settles_at = None
        try:
            self.findings = self._look()
        except (OSError, FetchError) as error:
            failure = classify(error, "Looking for versions")
            self.findings = replace(self.findings, code=failure.code.value, message=failure.message)
        return self.findings

    def wait(self, poll_seconds: float) -> float:
        """Tell how many seconds pass before the next look."""
        if self._settles_at is None:
            return poll_seconds
        return min(poll_seconds, max(0.0, self._settles_at - self._clock()))

    def _look(self) -> Findings:
        names = self._versions()
        self._complete &= set(names)
        complete: list[str] = []
        incomplete: dict[str, str] = {}
        seen: dict[str, _Seen] = {}
        for name in names:
            lack = None if name in self._complete else self._judge(name, seen)
            if lack is None:
                self._complete.add(name)
                complete.append(name)
            elif len(incomplete) < KEPT:
                incomplete[name] = lack
            if len(complete) == KEPT:
                break
        self._seen = seen
        return Findings(looked=True, complete=tuple(complete), incomplete=incomplete)

    def _versions(self) -> list[str]:
        """Name the versions, the newest first; of several names for a number the first counts."""
        by_number: dict[int, str] = {}
        for name in sorted(self._folders()):
            if self._is_version(name):
                by_number.setdefault(ids.version_number(name), name)
        return sorted(by_number.values(), key=ids.rank, reverse=True)

    def _folders(self) -> Iterable[str]:
        try:
            return self._place.folders()
        except FetchError as error:
            if error.code is Code.VERSION_NOT_FOUND:
                return ()
            raise

    def _judge(self, version: str, seen: dict[str, _Seen]) -> str | None:
        """Say what a version lacks, or nothing."""
        try:
            listing = self._place.listing(version)
            lack = self._place.lack(version, listing)
        except FetchError as error:
            if error.code is Code.VERSION_NOT_FOUND:
                return error.message
            raise
        if lack is not None or _MARKERS & listing.keys():
            return lack
        now, before = self._clock(), self._seen.get(version)
        same = before is not None and before.listing == listing
        seen[version] = before if before is not None and same else _Seen(listing, now)
        settles = seen[version].since + self._settle
        if same and now >= settles:
            return None
        self._settles_at = min(settles, self._settles_at or settles)
        return f"Its files must stay the same for {self._settle:g} s."
