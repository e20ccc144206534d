"""
Keeps versions from elsewhere on the disk for as long as somebody needs them.

A version lies in ``FOLDER/MODEL-HASH/VERSION``, where the hash stands for the base path; it comes
there by one rename, and what an interrupted fetch left is cleared away at the next start.
"""

import fcntl
import hashlib
import logging
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import IO

from modeldeploy_runtime.fetching import version as fetching
from modeldeploy_runtime.fetching.uris import Location

LOCK = ".lock"

_log = logging.getLogger(__name__)


class CacheInUseError(RuntimeError):
    """Another server uses the folder; the message is a sentence."""


class VersionCache:
    """
    The cache of one server; threads may call every method at any time.

    Without a folder it makes one of its own when it is first needed.  A folder that is given
    belongs to one server at a time, and keeps what it holds for the next one.
    """

    def __init__(self, folder: str = "") -> None:
        self._folder = Path(folder) if folder else None
        self._held: Counter[Path] = Counter()
        self._lock = threading.Lock()
        self._guards: dict[Path, threading.Lock] = {}
        self._claim_file: IO[str] | None = None
        if self._folder is not None:
            self._claim(self._folder)

    def bring(
        self, model: str, location: Location, version: str, *, saved_model: bool = True
    ) -> Path:
        """
        Fetch a version if it is not here, and keep it until ``drop`` is called as often.

        Raises:
            FetchError: It cannot be fetched now, or not at all.
        """
        target = self._path(model, location, version)
        with self._lock:
            self._held[target] += 1
            guard = self._guards.setdefault(target, threading.Lock())
        # One version is fetched once, however many ask for it.
        with guard:
            report = fetching.bring(
                fetching.Wanted(location, version, target.parent, saved_model=saved_model)
            )
        _log.info("%s", report.message)
        return target

    def drop(self, model: str, location: Location, version: str) -> None:
        """Remove a version when nobody needs it any more."""
        target = self._path(model, location, version)
        with self._lock:
            self._held[target] -= 1
            if self._held[target] > 0:
                return
            del self._held[target]
            guard = self._guards.setdefault(target, threading.Lock())
        with guard, self._lock:
            if target in self._held:
                return
            aside = target.with_name(f".{target.name}-dropped")
            if target.exists():
                target.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def _path(self, model: str, location: Location, version: str) -> Path:
        digest = hashlib.sha256(location.uri.encode()).hexdigest()[:12]
        safe = "".join(sign if sign.isalnum() else "_" for sign in model)
        return self._root() / f"{safe}-{digest}" / version

    def _root(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="modeldeploy-models-"))
            return self._folder

    def _claim(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        claim = (folder / LOCK).open("w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            claim.close()
            raise CacheInUseError(
                f"Another server uses the cache in {folder}; give each server a folder of its own."
            ) from error
        self._claim_file = claim
        for left in folder.glob("*/.*"):
            shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder, if it is the cache's own, and else leave it to the next server."""
        if self._claim_file is not None:
            self._claim_file.close()
        elif self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
