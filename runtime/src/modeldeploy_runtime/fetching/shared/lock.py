"""
One fetch fills a folder that several pods share, and the others use what it left.

The lock is on the file ``FOLDER.lock`` beside it.  The kernel, or the server of the volume, holds
it for the process, so that one that dies lets go of it, and whoever comes next clears away what
was begun.
"""

import contextlib
import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from modeldeploy_runtime.fetching.errors import Code, FetchError

# What POSIX lets a lock say that somebody else holds.
_HELD = (errno.EAGAIN, errno.EACCES)
_FULL = (errno.ENOSPC, errno.EDQUOT)

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """
    Wait until nobody else fills or removes a folder, and keep others from it.

    Raises:
        FetchError: The folder is on a volume that cannot be written or locked.
    """
    try:
        file = _locked(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    with file:
        for left in folder.glob(".*"):
            _log.info("Removing %s, which a fetch left that was interrupted.", left)
            shutil.rmtree(left, ignore_errors=True)
        yield


def remove(folder: Path) -> bool:
    """
    Remove a folder once nobody fills it; tell whether there was one.

    Raises:
        FetchError: The folder cannot be removed.
    """
    if not folder.parent.exists():
        return False
    with alone(folder):
        try:
            there = folder.exists()
            if there:
                shutil.rmtree(folder)
            _lock_of(folder).unlink()
        except OSError as error:
            raise _unusable(folder, error) from error
    return there


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _locked(folder: Path) -> IO[bytes]:
    """Lock the file beside a folder, and not one that was removed while somebody waited for it."""
    while True:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as closing:
            file = closing.enter_context(_lock_of(folder).open("ab"))
            _lock(file, folder)
            if os.fstat(file.fileno()).st_nlink:
                closing.pop_all()
                return file


def _lock(file: IO[bytes], folder: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        _log.info("Another pod is at work in %s; waiting for it.", folder)
        fcntl.lockf(file, fcntl.LOCK_EX)


def _unusable(folder: Path, error: OSError) -> FetchError:
    if error.errno in _FULL:
        return FetchError(Code.NO_SPACE, f"The cache is full: {folder} cannot be written.")
    return FetchError(
        Code.CACHE_UNUSABLE,
        f"The cache at {folder} cannot be used ({error.strerror}); it must be a volume that the "
        f"user {os.geteuid()} may write and lock.",
    )
