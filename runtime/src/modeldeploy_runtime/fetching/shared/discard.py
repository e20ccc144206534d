"""Carries out ``modeldeploy-server discard``: removes a folder that fetches shared."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime import flags
from modeldeploy_runtime.fetching.errors import FetchError
from modeldeploy_runtime.fetching.shared import lock
from modeldeploy_runtime.telemetry import logs

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """The flags of ``discard``."""

    folder: str
    termination_log: str = ""
    log_format: str = "plain"


def run(arguments: Sequence[str]) -> int:
    """Remove what the command line names, say what came of it, and return the exit status."""
    request = flags.parse(arguments, Request)
    logs.set_up(request.log_format)
    try:
        there = lock.remove(Path(request.folder))
    except FetchError as error:
        message, status = error.message, 1
    else:
        message = f"Removed {request.folder}." if there else f"There was no {request.folder}."
        status = 0
    _log.log(logging.ERROR if status else logging.INFO, "%s", message)
    sys.stdout.write(message + "\n")
    if request.termination_log:
        Path(request.termination_log).write_text(message)
    return status
