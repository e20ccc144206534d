"""
The files of a request log.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest

from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.recording import files
from modeldeploy_runtime.recording.files import OpenFile
from modeldeploy_runtime.recording.limits import MAX_RECORDS, Limits

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_names() -> None:
    """
    Names sort by time, hold the model, and end the prefix with a dash unless it ends a folder.
    """
    first = files.name_of("/logs/", "a b/c", NOON, 1)
    assert first.startswith("/logs/a_b_c-20260102T120000Z-")
    assert first.endswith("-000001.tfrecord")
    assert first < files.name_of("/logs/", "a b/c", NOON, 2)
    assert files.name_of("/logs/x", "m", NOON, 1).startswith("/logs/x-m-")
    assert first < files.name_of("/logs/", "a b/c", NOON + timedelta(seconds=1), 1)


def test_a_file_ends_by_size_number_and_time() -> None:
    """
    A file takes one record of any size, then so many bytes, so many records, for so long.
    """
    record = 10 + tfrecord.OVERHEAD
    file = OpenFile(Limits(file_bytes=2 * record, file_seconds=60.0), NOON)
    assert file.fits(bytes(1000))
    file.add(bytes(10))
    assert file.fits(bytes(10))
    assert not file.fits(bytes(11))
    assert not file.is_due(NOON + timedelta(seconds=59))
    assert file.is_due(NOON + timedelta(seconds=60))
    file.close()
    file = OpenFile(Limits(), NOON)
    for _ in range(MAX_RECORDS):
        assert file.fits(b"")
        file.add(b"")
    assert not file.fits(b"")
    file.close()


@pytest.mark.parametrize("scheme", ["", "file://", "memory://"])
def test_publish(scheme: str, tmp_path: Path) -> None:
    """
    A file comes to any storage as a whole, into folders that need not be there, and nothing else.
    """
    file = OpenFile(Limits(), NOON)
    payloads = [b"a", bytes(files.IN_MEMORY), b""]
    for payload in payloads:
        file.add(payload)
    uri = f"{scheme}{tmp_path}/new/folder/log.tfrecord"
    file.publish(uri)
    file.close()
    storage, path = fsspec.core.url_to_fs(uri)
    with storage.open(path, "rb") as written:
        assert list(tfrecord.read(written)) == payloads
    assert [Path(name).name for name in storage.ls(f"{tmp_path}/new/folder", detail=False)] == [
        "log.tfrecord"
    ]
