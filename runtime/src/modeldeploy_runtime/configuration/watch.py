"""Reads the configuration file again and again, and applies it when it has changed."""

import logging
import threading
import time
from pathlib import Path

from modeldeploy_runtime.configuration.reload import Reloader
from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.sources import config_file

_log = logging.getLogger(__name__)


class ConfigFileWatch:
    """
    Looks at one file from a thread of its own.

    A file that is wrong, or away, is logged once, and what was served before stays.
    """

    def __init__(self, path: Path, seconds: float, reloader: Reloader) -> None:
        self._path = path
        self._seconds = seconds
        self._reloader = reloader
        # What the file last said: other ways of changing the configuration do not count.
        self._applied = list(reloader.models.values())
        self._text = ""
        self._trouble = ""
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="config-file", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self.look()

    def look(self) -> None:
        """Look once, and apply what has changed."""
        try:
            text = self._path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            self._report(f"{error}")
            return
        if text == self._text:
            return
        self._text = text
        self._trouble = ""
        try:
            config = config_file.message(text, str(self._path))
            if config_file.is_empty(config):
                _log.info("%s is empty: taking no action.", self._path)
                return
            listed = config_file.models(config)
            if listed != self._applied:
                self._reloader.apply(listed, time.monotonic())
                self._applied = listed
        except ServingError as error:
            self._report(f"{error}")

    def _report(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.error("The configuration file is not applied, and the last one stays: %s", trouble)
        self._trouble = trouble
