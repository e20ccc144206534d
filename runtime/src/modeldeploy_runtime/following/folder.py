"""One look at the list after another: what is not on it goes, then what is missing is fetched."""

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modeldeploy_runtime.fetching import command
from modeldeploy_runtime.fetching.command import Judge, Request
from modeldeploy_runtime.fetching.errors import PERMANENT, FetchError, classify
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.following import wanted
from modeldeploy_runtime.following.wanted import Entry, ListError

_log = logging.getLogger(__name__)

RETRY_SECONDS, LONGEST_RETRY_SECONDS = 2.0, 60.0


@dataclass(slots=True)
class _Outcome:
    """What came of an entry, and when it is tried again; None where that would be in vain."""

    entry: Entry
    report: Report
    waits: float = 0.0
    again_at: float | None = None


@dataclass(slots=True)
class Folder:
    """
    The folder that a server watches, and the list that says what it is to hold.

    A version that the list lost is removed before another one is fetched, so that the disk and the
    server's memory need not hold one more.
    """

    list_file: Path
    request: Request
    judge: Judge
    clock: Callable[[], float]
    _outcomes: dict[str, _Outcome] = field(default_factory=dict)
    _problem: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def target(self) -> Path:
        """The folder."""
        return Path(self.request.to)

    def clear(self) -> None:
        """Remove what a process that was killed left half done."""
        for leftover in self.target.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def look(self) -> None:
        """Bring the folder one list nearer to what it is to hold."""
        try:
            entries = wanted.read(self.list_file.read_text())
        except (OSError, ListError) as error:
            self._tell_problem(f"{error}")
            return
        self._tell_problem("")
        for version in wanted.leaving(entries, self.held()):
            self._remove(version)
        with self._lock:
            listed = {entry.version for entry in entries}
            self._outcomes = {v: o for v, o in self._outcomes.items() if v in listed}
        for entry in entries:
            if self._is_due(entry):
                self._note(entry, self._fetch(entry))

    def held(self) -> list[str]:
        """List the versions that are there, whole."""
        if not self.target.is_dir():
            return []
        found = (path.name for path in self.target.iterdir() if path.is_dir())
        return sorted(name for name in found if not name.startswith("."))

    def told(self) -> dict[str, Any]:
        """Say what is there, and what came of each version of the list."""
        with self._lock:
            reports = {name: outcome.report for name, outcome in self._outcomes.items()}
            problem = self._problem
        return {
            "held": self.held(),
            "versions": {name: report.to_dict() for name, report in reports.items()},
            "problem": problem,
        }

    def _tell_problem(self, problem: str) -> None:
        if problem and problem != self._problem:
            _log.warning("The folder is left as it is: %s", problem)
        with self._lock:
            self._problem = problem

    def _remove(self, version: str) -> None:
        """Take a version out by one rename, so that the server never sees half of it."""
        _log.info("Version %s is wanted no longer.", version)
        aside = self.target / f".{version}.gone"
        shutil.rmtree(aside, ignore_errors=True)
        (self.target / version).rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _is_due(self, entry: Entry) -> bool:
        """Tell whether an entry is new, or its failure may have passed."""
        last = self._outcomes.get(entry.version)
        if last is None:
            return True
        if last.entry != entry and last.report.exit_status:
            return True
        return last.again_at is not None and self.clock() >= last.again_at

    def _fetch(self, entry: Entry) -> Report:
        """
        Bring a version, judge it, and only then put it where the server looks.

        One that is there since an earlier life of this process is verified where it is.
        """
        final = self.target / entry.version
        staging = self.target / ".incoming"
        against = str(self.list_file.with_name(entry.against)) if entry.against else ""
        request = replace(
            self.request,
            version=entry.version,
            to=str(self.target if final.exists() else staging),
            digest=entry.digest,
            required_signatures=",".join(entry.required),
            against=against,
            compatibility=entry.compatibility,
        )
        try:
            report = command.fetch(request, self.judge)
            if not final.exists() and self._is_wanted(entry.version):
                (staging / entry.version).rename(final)
        except FetchError as error:
            return Report(error.code, error.message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
            _log.exception("Fetching failed in an unforeseen way.")
            failure = classify(error, "Fetching")
            return Report(failure.code, failure.message)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return report

    def _is_wanted(self, version: str) -> bool:
        """Tell whether a version is still on the list, after a fetch that may have taken long."""
        try:
            entries = wanted.read(self.list_file.read_text())
        except (OSError, ListError):
            return True
        return any(entry.version == version for entry in entries)

    def _note(self, entry: Entry, report: Report) -> None:
        level = logging.ERROR if report.exit_status else logging.INFO
        _log.log(level, "Version %s: %s", entry.version, report.message)
        last = self._outcomes.get(entry.version)
        waits, again_at = 0.0, None
        if report.exit_status and report.code not in PERMANENT:
            before = last.waits if last and last.entry == entry else 0.0
            waits = min(LONGEST_RETRY_SECONDS, max(RETRY_SECONDS, 2 * before))
            again_at = self.clock() + waits
        with self._lock:
            self._outcomes[entry.version] = _Outcome(entry, report, waits, again_at)
