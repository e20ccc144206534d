"""Copies the files of a version to disk, several at once, and computes their digests on the way."""

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modeldeploy_runtime.fetching.digest import FileDigest
from modeldeploy_runtime.fetching.errors import Code, FetchError, classify
from modeldeploy_runtime.fetching.storage import CHUNK, RemoteFile, Storage

PARALLEL = 8
TRIES = 3
# Between two lines of progress in the log.
REPORT_SECONDS = 2.0

_log = logging.getLogger(__name__)


class _Progress:
    """Logs how far the download is, at most every few seconds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._next = time.monotonic() + REPORT_SECONDS
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + REPORT_SECONDS
            done = self._done
        percent = 100 * done // max(1, self._total)
        _log.info("%d of %d bytes are there (%d %%).", done, self._total, percent)


def download(
    storage: Storage, files: Mapping[str, RemoteFile], target: Path
) -> dict[str, FileDigest]:
    """
    Copy all files below a folder.

    Raises:
        FetchError: A file cannot be read or written, or has not the size that was listed.
    """
    progress = _Progress(sum(file.size for file in files.values()))

    def one(name: str) -> FileDigest:
        return _with_retries(storage, files[name], _inside(target, name), progress)

    names = sorted(files, key=lambda name: -files[name].size)
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="download")
    try:
        futures = {name: pool.submit(one, name) for name in names}
        return {name: future.result() for name, future in futures.items()}
    finally:
        # After a failure or a signal nobody waits for downloads that may hang.
        pool.shutdown(wait=False, cancel_futures=True)


def _inside(target: Path, name: str) -> Path:
    """Refuse names by which a storage would write elsewhere."""
    path = target / name
    if not path.resolve().is_relative_to(target.resolve()):
        raise FetchError(Code.MODEL_UNUSABLE, f"The file name {name} leads out of the version.")
    return path


def _with_retries(
    storage: Storage, file: RemoteFile, path: Path, progress: _Progress
) -> FileDigest:
    for attempt in range(1, TRIES + 1):
        try:
            return _one(storage, file, path, progress)
        except Exception as error:
            failure = classify(error, f"Fetching {file.path}")
            if failure.code is not Code.STORAGE_UNAVAILABLE or attempt == TRIES:
                raise failure from error
            _log.warning("%s; it is tried again.", failure)
            time.sleep(attempt)
    raise AssertionError("The last try raises or returns.")


def _one(storage: Storage, file: RemoteFile, path: Path, progress: _Progress) -> FileDigest:
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    size = 0
    with path.open("wb") as target:
        for piece in storage.read(file.path):
            target.write(piece)
            sha256.update(piece)
            size += len(piece)
            progress.add(len(piece))
    if size != file.size:
        raise FetchError(
            Code.INCOMPLETE, f"{file.path} gave {size} bytes where {file.size} were listed."
        )
    return FileDigest(size, sha256.hexdigest())


def digest_folder(folder: Path) -> dict[str, FileDigest]:
    """Compute the digests of files that are on disk already."""
    digests = {}
    for path in folder.rglob("*"):
        if path.is_file():
            sha256 = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(CHUNK):
                    sha256.update(piece)
            name = path.relative_to(folder).as_posix()
            digests[name] = FileDigest(path.stat().st_size, sha256.hexdigest())
    return digests
