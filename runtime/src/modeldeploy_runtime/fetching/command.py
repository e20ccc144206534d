"""Carries out ``modeldeploy-server fetch``."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modeldeploy_runtime import flags
from modeldeploy_runtime.fetching import uris, version
from modeldeploy_runtime.fetching.errors import FetchError, classify
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.fetching.version import PLATFORMS
from modeldeploy_runtime.flags import flag
from modeldeploy_runtime.telemetry import logs

_log = logging.getLogger(__name__)

DIGEST_VARIABLE = "MODELDEPLOY_DIGEST"
"""Where the operator puts the digest that was recorded at a revision's first fetch."""


@dataclass(frozen=True, slots=True)
class Request:
    """
    The flags of ``fetch``.

    ``against`` names a file with what a metadata route said of the version whose clients are to be
    served; where there is no such file nothing is compared.  ``shared`` says that fetches in other
    pods have the same ``to``.
    """

    uri: str
    version: str
    to: str
    digest: str = ""
    termination_log: str = ""
    pvc_root: str = "/pvc"
    log_format: str = "plain"
    shared: bool = False
    platform: str = flag("", "What the files must be of.", choices=("", *PLATFORMS))
    required_signatures: str = flag("", "Names, separated by commas.")
    against: str = flag("", "An answer of the metadata route.")
    compatibility: str = flag(
        "Strict", "What a version is that does not fit.", choices=("Strict", "Warn", "Off")
    )

    @property
    def required(self) -> list[str]:
        """The signatures that the version must have."""
        return [name for name in self.required_signatures.split(",") if name]

    @property
    def predecessor(self) -> Path | None:
        """The file that describes what is served, where one is to be compared with and is there."""
        path = Path(self.against) if self.against and self.compatibility != "Off" else None
        return path if path and path.exists() else None

    @property
    def has_demands(self) -> bool:
        """Whether anything is asked of the version's signatures."""
        return bool(self.required) or self.predecessor is not None


Judge = Callable[[Path, Request], str]
"""Looks at the folder of a fetched version; returns a warning or raises a ``FetchError``."""


def run(arguments: Sequence[str], judge: Judge) -> int:
    """Fetch what the command line asks for, report, and return the exit status."""
    request = flags.parse(arguments, Request)
    if not request.digest:
        request = replace(request, digest=os.environ.get(DIGEST_VARIABLE, ""))
    logs.set_up(request.log_format)
    try:
        report = fetch(request, judge)
    except FetchError as error:
        report = Report(error.code, error.message)
    except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
        _log.exception("Fetching failed in an unforeseen way.")
        failure = classify(error, "Fetching")
        report = Report(failure.code, failure.message)
    _log.log(logging.ERROR if report.exit_status else logging.INFO, "%s", report.message)
    if report.warning:
        _log.warning("%s", report.warning)
    text = report.to_json()
    sys.stdout.write(text + "\n")
    if request.termination_log:
        Path(request.termination_log).write_text(text)
    return report.exit_status


def fetch(request: Request, judge: Judge) -> Report:
    """
    Bring one version to ``TO/VERSION``, or find that it is there already, and judge it.

    Raises:
        FetchError: It cannot be done, or the version is not what is asked for.
    """
    uris.check_version(request.version)
    location = uris.parse(request.uri, request.pvc_root)
    target = Path(request.to)
    report = version.bring(
        version.Wanted(
            location,
            request.version,
            target,
            request.digest,
            platform=request.platform,
            shared=request.shared,
        )
    )
    if not request.has_demands:
        return report
    return replace(report, warning=judge(target / request.version, request))
