"""
One log: its queue, its thread, its counts.
"""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from modeldeploy_runtime.loaders import tfrecord
from modeldeploy_runtime.recording import files
from modeldeploy_runtime.recording.limits import MAX_RECORDS, Limits
from modeldeploy_runtime.recording.sink import Entry, Sink
from modeldeploy_runtime.sources.request_logging import RequestLogging


class _Logged:
    """
    A sink that writes to a folder, and what it counted.
    """

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        config = RequestLogging(f"{folder}/", 1.0)
        self.sink = Sink("m", config, limits or Limits(), lambda _, code: self._count(code))

    def _count(self, code: str) -> None:
        self.counts[code] += 1

    def put(self, payload: bytes = b"x", size: int = 1) -> None:
        self.sink.put(Entry(lambda: payload, size))

    def end(self) -> list[list[bytes]]:
        """
        End the log, and read what each of its files holds.
        """
        self.sink.close()
        assert self.sink.join(10.0)
        found = []
        for path in sorted(self.folder.glob("*")):
            with path.open("rb") as file:
                found.append(list(tfrecord.read(file)))
        return found


def test_records_are_written_in_order(tmp_path: Path) -> None:
    """
    What is put is in the file when the log has ended.
    """
    logged = _Logged(tmp_path)
    payloads = [str(number).encode() for number in range(20)]
    for payload in payloads:
        logged.put(payload)
    assert logged.end() == [payloads]
    assert logged.counts == {"OK": 20}


def test_rotation(tmp_path: Path) -> None:
    """
    No file holds more records than a warm-up may have, nor more bytes than it may.
    """
    logged = _Logged(tmp_path, Limits(queued=10_000))
    for _ in range(MAX_RECORDS + 1):
        logged.put()
    assert list(map(len, logged.end())) == [MAX_RECORDS, 1]
    logged = _Logged(tmp_path / "small", Limits(file_bytes=100))
    for _ in range(3):
        logged.put(bytes(50))
    assert list(map(len, logged.end())) == [1, 1, 1]


def test_an_old_file_ends_without_a_new_record(tmp_path: Path) -> None:
    """
    A file appears when its time is over, though nothing more comes.
    """
    appeared = threading.Event()
    sink = Sink(
        "m",
        RequestLogging(f"{tmp_path}/", 1.0),
        Limits(file_seconds=0.01),
        lambda *_: appeared.set(),
    )
    sink.put(Entry(lambda: b"x", 1))
    assert appeared.wait(10.0)
    assert len(list(tmp_path.glob("*.tfrecord"))) == 1
    sink.close()
    assert sink.join(10.0)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(queued=2), "RESOURCE_EXHAUSTED"),
        (Limits(queued_bytes=250), "RESOURCE_EXHAUSTED"),
        (Limits(record_bytes=99), "OUT_OF_RANGE"),
    ],
)
def test_what_does_not_fit_is_dropped(limits: Limits, code: str, tmp_path: Path) -> None:
    """
    Putting never waits: a full queue and a record that is too large cost the record.
    """
    logged = _Logged(tmp_path, limits)
    busy, go_on = threading.Event(), threading.Event()

    def block() -> bytes:
        busy.set()
        go_on.wait(10.0)
        return b"first"

    logged.sink.put(Entry(block, 1))
    assert busy.wait(10.0)
    for _ in range(5):
        logged.put(size=100)
    go_on.set()
    written = logged.end()
    assert logged.counts[code] == (5 if code == "OUT_OF_RANGE" else 3)
    assert logged.counts["OK"] == len(written[0]) == 6 - logged.counts[code]


def test_a_record_that_cannot_be_made(tmp_path: Path) -> None:
    """
    It is counted and leaves the others alone.
    """
    logged = _Logged(tmp_path)

    def fail() -> bytes:
        raise ValueError("No.")

    logged.sink.put(Entry(fail, 1))
    logged.put()
    assert logged.end() == [[b"x"]]
    assert logged.counts == {"INTERNAL": 1, "OK": 1}


def test_a_storage_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Its records are dropped and counted, and the log says so once, and when it is over.
    """
    is_up = threading.Event()
    copy: Callable[..., None] = files.copy

    def may_fail(*arguments: object) -> None:
        if not is_up.is_set():
            raise ConnectionError("Nobody is there.")
        copy(*arguments)

    monkeypatch.setattr(files, "copy", may_fail)
    caplog.set_level("INFO")
    logged = _Logged(tmp_path, Limits(file_bytes=1))
    done = threading.Event()
    for _ in range(3):
        logged.put()

    def last() -> bytes:
        is_up.set()
        done.set()
        return b"last"

    logged.sink.put(Entry(last, 1))
    assert done.wait(10.0)
    assert logged.end()[-1] == [b"last"]
    assert logged.counts["OK"] + logged.counts["UNAVAILABLE"] == 4
    said = [record.getMessage() for record in caplog.records]
    assert sum("cannot be written" in line for line in said) == 1
    assert sum("can be written again" in line for line in said) == 1
