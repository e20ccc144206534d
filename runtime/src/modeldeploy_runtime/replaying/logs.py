"""
Finds and reads the logs that servers keep of their requests: TFRecords of PredictionLogs.

A log may be named as a file, as a folder, or by the prefix that the server was given.
"""

import logging
from collections.abc import Iterator
from typing import Any

import fsspec
from google.protobuf.message import DecodeError

from modeldeploy_runtime.fetching import filesystems, uris
from modeldeploy_runtime.fetching.errors import Code, FetchError, classify
from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.protos import messages

ENDING = ".tfrecord"

_log = logging.getLogger(__name__)


def read(uri: str, pvc_root: str) -> Iterator[Any]:
    """
    Yield the records of a log, those of the newest file first; one that cannot be read is None.

    Raises:
        FetchError: The log cannot be found, or its storage does not answer.
    """
    location = uris.parse(uri, pvc_root, fsspec.available_protocols())
    files = filesystems.files_of(location)
    try:
        paths = _find(files, location.path)
    except Exception as error:
        raise classify(error, f"Listing {uri}") from error
    if not paths:
        raise FetchError(Code.VERSION_NOT_FOUND, f"There is no request log at {uri}.")
    for path in paths:
        _log.info("Reading %s.", path)
        try:
            with files.open(path, "rb") as file:
                yield from _records(path, file)
        except FetchError:
            raise
        except Exception as error:
            raise classify(error, f"Reading {path}") from error


def _find(files: Any, path: str) -> list[str]:
    """List the files of a log; their names sort by time."""
    if files.isfile(path):
        return [path]
    if files.isdir(path):
        found = files.find(path)
    else:
        parent = path.rpartition("/")[0]
        stripped = files._strip_protocol(path)  # noqa: SLF001 - fsspec's own
        listed = files.ls(parent, detail=False) if files.isdir(parent) else []
        found = [name for name in listed if name.startswith((path, stripped))]
    return sorted((name for name in found if name.endswith(ENDING)), reverse=True)


def _records(path: str, file: Any) -> Iterator[Any]:
    try:
        for payload in tfrecord.read(file):
            yield _parse(payload)
    except tfrecord.CorruptRecordError as error:
        _log.warning("The rest of %s is skipped: %s", path, error)
        yield None


def _parse(payload: bytes) -> Any:
    log = messages.PredictionLog()
    try:
        log.ParseFromString(payload)
    except DecodeError:
        return None
    return log
