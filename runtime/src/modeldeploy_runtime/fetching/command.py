"""Carries out ``modeldeploy-server fetch``."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modeldeploy_runtime import flags
from modeldeploy_runtime.fetching import digest, download, uris, wire_check
from modeldeploy_runtime.fetching.digest import FileDigest
from modeldeploy_runtime.fetching.errors import Code, FetchError, classify
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.fetching.storage import RemoteFile, Storage
from modeldeploy_runtime.sources import completeness
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
    version = uris.check_version(request.version)
    location = uris.parse(request.uri, request.pvc_root)
    target = Path(request.to, version)
    source = location.shown(version)
    present = _digest_if_present(target)
    if present and request.digest and digest.of_files(present) == request.digest:
        return _fetched(present, f"{source} was here already and has the digest asked for.")
    storage = Storage(location)
    listed = storage.list_version(version)
    _check_complete(storage, listed)
    if present and not request.digest and _same_sizes(present, listed):
        return _fetched(present, f"{source} was here already.")
    files = _bring(request, storage, listed, target)
    return _fetched(files, f"Fetched {source}.")


def _fetched(files: Mapping[str, FileDigest], message: str) -> Report:
    contents = {name: file for name, file in files.items() if name not in digest.NO_CONTENTS}
    size = sum(file.size for file in contents.values())
    return Report(Code.FETCHED, message, digest.of_files(files), len(contents), size)


def _digest_if_present(target: Path) -> dict[str, FileDigest] | None:
    """Read what an earlier run left; only a folder with its marker was brought here whole."""
    if not (target / completeness.MARKER).exists():
        return None
    return download.digest_folder(target)


def _same_sizes(present: Mapping[str, FileDigest], listed: Mapping[str, RemoteFile]) -> bool:
    here = {name: file.size for name, file in present.items() if name not in digest.NO_CONTENTS}
    there = {name: file.size for name, file in listed.items() if name not in digest.NO_CONTENTS}
    return here == there


def _check_complete(storage: Storage, listed: Mapping[str, RemoteFile]) -> None:
    manifest = None
    if completeness.MANIFEST in listed:
        manifest = storage.read_whole(listed[completeness.MANIFEST].path)
    sizes = {name: file.size for name, file in listed.items()}
    if lack := completeness.what_is_missing(sizes, manifest):
        raise FetchError(Code.INCOMPLETE, f"The version is not complete: {lack}")
    if not any(graph in listed for graph in completeness.GRAPHS):
        raise FetchError(
            Code.MODEL_UNUSABLE, "The version says that it is complete and has no saved_model.pb."
        )


def _bring(
    request: Request, storage: Storage, listed: Mapping[str, RemoteFile], target: Path
) -> dict[str, FileDigest]:
    """Download beside the target, verify, and put it into place by one rename."""
    size = sum(file.size for file in listed.values())
    temporary = _make_temporary(target.parent, request.version, size)
    try:
        _log.info("Fetching %d files with %d bytes.", len(listed), size)
        files = download.download(storage, listed, temporary)
        _check_unchanged(listed, storage.list_version(request.version))
        _check_contents(files, temporary, request.digest)
        (temporary / completeness.MARKER).touch()
        _move(temporary, target)
    except OSError as error:
        raise classify(error, f"Writing to {target}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return files


def _make_temporary(folder: Path, version: str, size: int) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < size:
            raise FetchError(
                Code.NO_SPACE, f"{folder} has {free} bytes left where {size} are needed."
            )
        # The name begins with a dot, so that no server takes it for a version.
        temporary = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=folder))
        # Whoever serves the model may be another user.
        temporary.chmod(0o755)
    except OSError as error:
        raise classify(error, f"Writing to {folder}") from error
    return temporary


def _check_unchanged(before: Mapping[str, RemoteFile], after: Mapping[str, RemoteFile]) -> None:
    """Compare two listings: a version that somebody still writes is not complete."""
    if before != after:
        different = sorted(
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        )
        raise FetchError(
            Code.INCOMPLETE, f"The version changed while it was fetched: {', '.join(different)}."
        )


def _check_contents(files: Mapping[str, FileDigest], folder: Path, expected: str) -> None:
    found = digest.of_files(files)
    if expected and found != expected:
        raise FetchError(
            Code.CONTENT_CHANGED, f"The version has the digest {found} and not {expected}."
        )
    graph = folder / completeness.GRAPHS[0]
    if graph.exists():
        with graph.open("rb") as file:
            wrong = wire_check.what_is_wrong(file, graph.stat().st_size)
        if wrong:
            raise FetchError(Code.MODEL_UNUSABLE, f"{graph.name} cannot be loaded: {wrong}.")


def _move(temporary: Path, target: Path) -> None:
    """Put a version into place; what stands there is replaced, as it is not what was asked for."""
    if target.exists():
        aside = target.with_name(f"{temporary.name}.old")
        target.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    os.replace(temporary, target)  # noqa: PTH105 - atomic, and says so
