"""
Writes the files of a log: a file is complete when it appears.

Records are collected in a temporary file of this machine and are copied to the storage as a whole:
object stores cannot append, and nobody ever reads half a file.
"""

import os
import re
import shutil
import socket
import tempfile
from datetime import datetime
from typing import IO, Any

import fsspec

from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.recording.limits import MAX_RECORDS, Limits

# Up to here the records of a file are held in memory.
IN_MEMORY = 1 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def name_of(prefix: str, model: str, began: datetime, number: int) -> str:
    """Name a file so that names sort by time, and no two servers ever choose the same one."""
    dash = "" if not prefix or prefix.endswith("/") else "-"
    host = _UNSAFE.sub("_", socket.gethostname())
    when = began.strftime("%Y%m%dT%H%M%SZ")
    return (
        f"{prefix}{dash}{_UNSAFE.sub('_', model)}-{when}-{host}-{os.getpid()}-{number:06d}.tfrecord"
    )


class OpenFile:
    """A file that is being collected; for one thread."""

    def __init__(self, limits: Limits, began: datetime) -> None:
        self.began = began
        self.records = 0
        self._limits = limits
        self._size = 0
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - see close

    def fits(self, payload: bytes) -> bool:
        """Tell whether one record more may go into this file; the first one always may."""
        size = self._size + len(payload) + tfrecord.OVERHEAD
        return not self.records or (self.records < MAX_RECORDS and size <= self._limits.file_bytes)

    def is_due(self, now: datetime) -> bool:
        """Tell whether the file has been open for long enough."""
        return (now - self.began).total_seconds() >= self._limits.file_seconds

    def add(self, payload: bytes) -> None:
        """Append a record."""
        record = tfrecord.pack(payload)
        self._spool.write(record)
        self._size += len(record)
        self.records += 1

    def publish(self, uri: str) -> None:
        """
        Copy the file to where it belongs.

        Raises:
            Exception: Whatever the storage raises.
        """
        self._spool.seek(0)
        copy(self._spool, uri)

    def close(self) -> None:
        """Let the temporary file go."""
        self._spool.close()


def copy(file: IO[bytes], uri: str) -> None:
    """
    Copy a file to a path or URI.

    Raises:
        Exception: Whatever the storage raises.
    """
    files, path = fsspec.core.url_to_fs(uri)
    if "file" not in _protocols(files):
        # An object appears when it is complete.
        with files.open(path, "wb") as target:
            shutil.copyfileobj(file, target)
        return
    files.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH120 - a path of fsspec's
    unfinished = f"{path}.part"
    with files.open(unfinished, "wb") as target:
        shutil.copyfileobj(file, target)
    files.mv(unfinished, path)


def _protocols(files: Any) -> tuple[str, ...]:
    protocol = files.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
