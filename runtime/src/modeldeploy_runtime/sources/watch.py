"""What one source knows of one model: what it saw, and what follows from it."""

import logging
from collections.abc import Sequence

from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.sources import completeness, version_policy
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.places import Listing, Place
from modeldeploy_runtime.sources.port import NOT_LOOKED, SourceOptions
from modeldeploy_runtime.sources.version_policy import Verdict

# Looking for the second time, when a poll of 0 seconds says nothing about when.
SETTLE_SECONDS = 1.0

_NEVER = "Its versions are never looked for: --file_system_poll_wait_seconds is negative."

_log = logging.getLogger(__name__)


class Watch:
    """
    Judged versions of one model, and listings to compare the next ones with.

    One thread looks at a time; the others read ``problem`` and ``settled`` and call ``close``.
    """

    def __init__(
        self, model: ServedModel, place: Place, options: SourceOptions, before: "Watch | None"
    ) -> None:
        self.model = model
        self.place = place
        self.problem = NOT_LOOKED if options.poll_seconds >= 0 else _NEVER
        self.settled = self.closed = False
        self._options = options
        self._complete: set[str] = set()
        self._listings: dict[str, Listing] = {}
        self._quiet = 0
        # A changed configuration says its whole set anew; what it names is still the same.
        same_place = before is not None and before.model.base_path == model.base_path
        if same_place and before is not None:
            self._complete = set(before._complete)  # noqa: SLF001 - of the same class
        self._aspired: list[str] | None = None

    def close(self) -> None:
        """Let what is seen from here on count no more."""
        self.closed = True

    def look(self) -> Sequence[str] | None:
        """
        Look once; return all wanted versions where they differ from what was said before.

        Raises:
            OSError: The base path cannot be read.
            FetchError: The same, of one that is elsewhere.
        """
        found = self._versions()
        pending: set[str] = set()
        chosen = version_policy.choose(
            self.model.policy, found, lambda version: self._judge(version, pending)
        )
        self._listings = {name: self._listings[name] for name in pending}
        self.settled = not pending
        self._report(self._problem(found, chosen))
        if not chosen or chosen == self._aspired:
            self._quiet += 1
            return None
        self._quiet = 0
        self._aspired = chosen
        return chosen

    def failed(self, problem: str) -> None:
        """Note that the base path could not be read."""
        self.settled = True
        self._quiet += 1
        self._report(problem)

    def wait(self) -> float | None:
        """
        Tell how many seconds pass before the next look, or that none is needed.

        Each look at a storage elsewhere costs something: while nothing changes there, or it cannot
        be read, the waits double.
        """
        if not self._options.poll_seconds:
            return None if self.settled and self._aspired else SETTLE_SECONDS
        poll = self._options.poll_seconds
        if not self.place.is_remote or not self.settled:
            return poll
        longest = max(poll, self._options.longest_wait)
        return min(longest, poll * 2.0 ** min(self._quiet, 32))

    def _versions(self) -> list[str]:
        """Name the versions; of several names for one number the first counts."""
        by_number: dict[int, str] = {}
        for name in sorted(self.place.folders()):
            if version_policy.is_version(name, any_name=self._options.any_name):
                by_number.setdefault(ids.version_number(name), name)
        return list(by_number.values())

    def _judge(self, version: str, pending: set[str]) -> Verdict:
        """Find out whether a version is complete; note it where that is not settled."""
        if version in self._complete:
            return Verdict.COMPLETE
        listing = self.place.listing(version)
        before = self._listings.get(version)
        self._listings[version] = listing
        pending.add(version)
        if self.place.lack(version, listing) is not None:
            return Verdict.LACKING
        if completeness.MARKER not in listing and before != listing:
            return Verdict.HOPEFUL
        pending.remove(version)
        self._complete.add(version)
        return Verdict.COMPLETE

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.warning("Model %s: %s", self.model.name, problem)
        self.problem = problem

    def _problem(self, found: Sequence[str], chosen: Sequence[str]) -> str:
        base = self.model.base_path
        if not found:
            kind = "" if self._options.any_name else " whose name is a number, such as 1"
            return f"No version was found below {base}; a version is a folder{kind}."
        for version, listing in self._listings.items():
            if lack := self.place.lack(version, listing):
                return f"Version {version} is not complete: {lack}"
        if not chosen and not self._listings:
            return f"None of the wanted versions is below {base}."
        return ""
