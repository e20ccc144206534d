"""Carries out ``modeldeploy-server fetch``."""

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modeldeploy_runtime import flags
from modeldeploy_runtime.fetching import uris, version
from modeldeploy_runtime.fetching.errors import FetchError, classify
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.telemetry import logs

_log = logging.getLogger(__name__)

DIGEST_VARIABLE = "MODELDEPLOY_DIGEST"
"""Where the operator puts the digest that was recorded at a revision's first fetch."""


@dataclass(frozen=True, slots=True)
class Request:
    """The flags of ``fetch``."""

    uri: str
    version: str
    to: str
    digest: str = ""
    termination_log: str = ""
    pvc_root: str = "/pvc"
    log_format: str = "plain"


def run(arguments: Sequence[str]) -> int:
    """Fetch what the command line asks for, report, and return the exit status."""
    request = flags.parse(arguments, Request)
    if not request.digest:
        request = replace(request, digest=os.environ.get(DIGEST_VARIABLE, ""))
    logs.set_up(request.log_format)
    try:
        report = fetch(request)
    except FetchError as error:
        report = Report(error.code, error.message)
    except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
        _log.exception("Fetching failed in an unforeseen way.")
        failure = classify(error, "Fetching")
        report = Report(failure.code, failure.message)
    _log.log(logging.ERROR if report.exit_status else logging.INFO, "%s", report.message)
    text = report.to_json()
    sys.stdout.write(text + "\n")
    if request.termination_log:
        Path(request.termination_log).write_text(text)
    return report.exit_status


def fetch(request: Request) -> Report:
    """
    Bring one version to ``TO/VERSION``, or find that it is there already.

    Raises:
        FetchError: It cannot be done.
    """
    uris.check_version(request.version)
    location = uris.parse(request.uri, request.pvc_root)
    return version.bring(
        version.Wanted(location, request.version, Path(request.to), request.digest)
    )
