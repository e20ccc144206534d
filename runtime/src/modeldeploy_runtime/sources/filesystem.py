"""
Finds versions in folders, again and again.

Each child of a model's base path whose name is a number is a version.  One that is incomplete is
not taken, and nothing is ever given up because a listing failed or came back empty: a storage that
is away for a moment must not take the models with it.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from modeldeploy_runtime.sources import completeness, version_policy
from modeldeploy_runtime.sources.models import ServedModel

Listing = Mapping[str, tuple[int, int]]
Sink = Callable[[str, Mapping[int, Path]], None]

_log = logging.getLogger(__name__)


class _Watch:
    """What was seen of one model: judged versions, and listings to compare the next one with."""

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self.complete: set[Path] = set()
        self.listings: dict[Path, Listing] = {}
        self.aspired: dict[int, Path] | None = None
        self.problem = "Its versions have not been looked for yet."


class FilesystemSource:
    """
    Polls the folders of all models from one thread, and tells the sink when what is wanted changes.

    A poll of 0 seconds looks until everything has been judged, and then no more.
    """

    def __init__(self, models: Iterable[ServedModel], sink: Sink, poll_seconds: float) -> None:
        self._watches = {model.name: _Watch(model) for model in models}
        self._sink = sink
        self._poll_seconds = poll_seconds
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        if self._poll_seconds >= 0:
            threading.Thread(target=self._run, name="filesystem-source", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def problem(self, name: str) -> str:
        """Say what was wrong with a model's folder when it was last looked at, or nothing."""
        return self._watches[name].problem

    def _run(self) -> None:
        while not self._stopped.is_set():
            judged = self.poll()
            if judged and not self._poll_seconds:
                return
            self._stopped.wait(self._poll_seconds or 1.0)

    def poll(self) -> bool:
        """Look at every model once; return whether no version is left to be judged."""
        judged = [self._poll_model(watch) for watch in self._watches.values()]
        return all(judged)

    def _poll_model(self, watch: _Watch) -> bool:
        try:
            folders = _version_folders(watch.model)
            judged = [_judge(watch, folder) for folder in folders.values()]
        except OSError as error:
            self._report(watch, f"Its base path cannot be read: {error}.")
            return True
        ready = {number: path for number, path in folders.items() if path in watch.complete}
        chosen = version_policy.choose(watch.model.policy, ready)
        aspired = {number: ready[number] for number in sorted(chosen)}
        self._report(watch, _problem(watch, folders, aspired))
        if aspired and aspired != watch.aspired:
            watch.aspired = aspired
            self._sink(watch.model.name, aspired)
        return all(judged)

    def _report(self, watch: _Watch, problem: str) -> None:
        if problem and problem != watch.problem:
            _log.warning("Model %s: %s", watch.model.name, problem)
        watch.problem = problem


def _version_folders(model: ServedModel) -> dict[int, Path]:
    folders: dict[int, Path] = {}
    for child in sorted(model.base_path.iterdir()):
        number = version_policy.parse_version(child.name)
        if number is not None and child.is_dir():
            folders.setdefault(number, child)
    return folders


def _judge(watch: _Watch, folder: Path) -> bool:
    """Find out whether a version is complete; return whether that is settled for good."""
    if folder in watch.complete:
        return True
    listing = list_files(folder)
    before = watch.listings.get(folder)
    watch.listings[folder] = listing
    if missing(folder, listing) is None and (completeness.MARKER in listing or before == listing):
        watch.complete.add(folder)
        del watch.listings[folder]
        return True
    return False


def list_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Map the paths of all files below a folder to their sizes and times of change."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            stat = path.stat()
            found[path.relative_to(folder).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    return found


def missing(folder: Path, listing: Listing) -> str | None:
    """Say what a version on disk lacks, or ``None``."""
    manifest = None
    if completeness.MANIFEST in listing:
        manifest = (folder / completeness.MANIFEST).read_bytes()
    return completeness.what_is_missing(
        {name: size for name, (size, _) in listing.items()}, manifest
    )


def _problem(watch: _Watch, folders: Mapping[int, Path], aspired: Mapping[int, Path]) -> str:
    base = watch.model.base_path
    if not folders:
        return (
            f"No version was found below {base}; "
            "a version is a folder whose name is a number, such as 1."
        )
    for number, folder in sorted(folders.items(), reverse=True):
        if folder in watch.listings and (lack := missing(folder, watch.listings[folder])):
            return f"Version {number} is not complete: {lack}"
    if not aspired and not watch.listings:
        return f"None of the wanted versions is below {base}."
    return ""
