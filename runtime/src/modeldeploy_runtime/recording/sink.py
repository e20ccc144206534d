"""
One log: a bounded queue, and the thread that makes records of it and files of them.

A storage that is down costs its log records and nothing else: they are dropped and counted, and the
server's log says so once, until a file could be written again.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from modeldeploy_runtime.recording import files
from modeldeploy_runtime.recording.files import OpenFile
from modeldeploy_runtime.recording.limits import Limits
from modeldeploy_runtime.sources.request_logging import RequestLogging

WRITTEN = "OK"
QUEUE_FULL = "RESOURCE_EXHAUSTED"
TOO_LARGE = "OUT_OF_RANGE"
STORAGE_DOWN = "UNAVAILABLE"
UNWRITABLE = "INTERNAL"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A sampled request: what makes a record of it, and about how many bytes that holds."""

    serialize: Callable[[], bytes]
    size: int


class Sink:
    """
    Takes the entries of one model; threads may call every method at any time.

    ``count`` is told what became of each entry: ``OK`` or the code of the reason.
    """

    def __init__(
        self, model: str, config: RequestLogging, limits: Limits, count: Callable[[str, str], None]
    ) -> None:
        self.config = config
        self._model = model
        self._limits = limits
        self._count = count
        self._waiting: deque[Entry] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._file: OpenFile | None = None
        self._number = 0
        self._is_down = False
        self._thread = threading.Thread(target=self._run, name=f"log {model}", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Take an entry, or drop it where too many wait; never blocks."""
        code = ""
        with self._changed:
            if entry.size > self._limits.record_bytes:
                code = TOO_LARGE
            elif self._closed or not self._has_room(entry):
                code = QUEUE_FULL
            else:
                self._waiting.append(entry)
                self._bytes += entry.size
                self._changed.notify()
        if code:
            self._count(self._model, code)

    def close(self) -> None:
        """Take no more; what has been taken will be written."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout: float) -> bool:
        """Wait until everything is written, for so many seconds; tell whether it is."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _has_room(self, entry: Entry) -> bool:
        return (
            len(self._waiting) < self._limits.queued
            and self._bytes + entry.size <= self._limits.queued_bytes
        )

    def _run(self) -> None:
        while True:
            entry = self._take()
            if entry is not None:
                self._write(entry)
            elif self._closed:
                self._publish()
                return
            if self._file is not None and self._file.is_due(datetime.now(UTC)):
                self._publish()

    def _take(self) -> Entry | None:
        """Wait for an entry, for the end, or until it is time to end a file."""
        patience = None
        if self._file is not None:
            age = (datetime.now(UTC) - self._file.began).total_seconds()
            patience = max(0.0, self._limits.file_seconds - age)
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, patience)
            if not self._waiting:
                return None
            entry = self._waiting.popleft()
            self._bytes -= entry.size
            return entry

    def _write(self, entry: Entry) -> None:
        try:
            payload = entry.serialize()
        except Exception:  # noqa: BLE001 - a record that cannot be made must not end the log
            _log.exception("A request of %s could not be logged.", self._model)
            self._count(self._model, UNWRITABLE)
            return
        if self._file is not None and not self._file.fits(payload):
            self._publish()
        try:
            if self._file is None:
                self._file = OpenFile(self._limits, datetime.now(UTC))
            self._file.add(payload)
        except OSError as error:
            # No room for temporary files: what was collected cannot be trusted any more.
            if self._file is not None:
                self._end_file(self._file, STORAGE_DOWN)
                self._file = None
            self._note_down("the temporary folder", error)
            self._count(self._model, STORAGE_DOWN)

    def _publish(self) -> None:
        """End the file that is open, and say what became of its records."""
        file, self._file = self._file, None
        if file is None:
            return
        self._number += 1
        uri = files.name_of(self.config.prefix, self._model, file.began, self._number)
        try:
            file.publish(uri)
        except Exception as error:  # noqa: BLE001 - storages raise whatever they like
            self._note_down(uri, error)
            self._end_file(file, STORAGE_DOWN)
            return
        if self._is_down:
            _log.info("The request log of %s can be written again.", self._model)
        self._is_down = False
        self._end_file(file, WRITTEN)

    def _end_file(self, file: OpenFile, code: str) -> None:
        """Let a file go, and count its records."""
        file.close()
        for _ in range(file.records):
            self._count(self._model, code)

    def _note_down(self, uri: str, error: Exception) -> None:
        if not self._is_down:
            _log.warning(
                "The request log of %s cannot be written and its records are dropped until it "
                "can: %s: %s: %s",
                self._model,
                uri,
                type(error).__name__,
                error,
            )
        self._is_down = True
