"""Brings one version of a model to the disk: whole, verified, or not at all."""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime.fetching import digest, download, uris, wire_check
from modeldeploy_runtime.fetching.digest import FileDigest
from modeldeploy_runtime.fetching.errors import Code, FetchError, classify
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.fetching.storage import RemoteFile, Storage
from modeldeploy_runtime.fetching.uris import Location
from modeldeploy_runtime.sources import completeness

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What is to be brought, and where to.

    ``saved_model`` tells whether the files must be those of a SavedModel.
    """

    location: Location
    version: str
    to: Path
    digest: str = ""
    saved_model: bool = True


def bring(wanted: Wanted) -> Report:
    """
    Bring one version to ``to/version``, or find that it is there already.

    Raises:
        FetchError: It cannot be done.
    """
    version = uris.check_version(wanted.version)
    target = wanted.to / version
    source = wanted.location.shown(version)
    present = _digest_if_present(target)
    if present and wanted.digest and digest.of_files(present) == wanted.digest:
        return _fetched(present, f"{source} was here already and has the digest asked for.")
    storage = Storage(wanted.location)
    listed = storage.list_version(version)
    manifest = _check_complete(storage, listed, saved_model=wanted.saved_model)
    if present and not wanted.digest and _same_sizes(present, listed):
        return _fetched(present, f"{source} was here already.")
    files = _bring(wanted, storage, listed, manifest)
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


def _check_complete(
    storage: Storage, listed: Mapping[str, RemoteFile], *, saved_model: bool
) -> bytes | None:
    """Make sure that everything is there, and return the manifest."""
    manifest = storage.manifest(listed)
    sizes = {name: file.size for name, file in listed.items()}
    if lack := completeness.what_is_missing(sizes, manifest, saved_model=saved_model):
        raise FetchError(Code.INCOMPLETE, f"The version is not complete: {lack}")
    if saved_model and not any(graph in listed for graph in completeness.GRAPHS):
        raise FetchError(
            Code.MODEL_UNUSABLE, "The version says that it is complete and has no saved_model.pb."
        )
    return manifest


def _bring(
    wanted: Wanted, storage: Storage, listed: Mapping[str, RemoteFile], manifest: bytes | None
) -> dict[str, FileDigest]:
    """Download beside the target, verify, and put it into place by one rename."""
    size = sum(file.size for file in listed.values())
    target = wanted.to / wanted.version
    temporary = _make_temporary(wanted.to, wanted.version, size)
    try:
        _log.info("Fetching %d files with %d bytes.", len(listed), size)
        files = download.download(storage, listed, temporary)
        _check_unchanged(listed, storage.list_version(wanted.version))
        _check_manifest(files, manifest)
        _check_contents(files, temporary, wanted.digest)
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


def _check_manifest(files: Mapping[str, FileDigest], manifest: bytes | None) -> None:
    expected = completeness.manifest_digests(manifest) if manifest is not None else {}
    for name, sha256 in sorted(expected.items()):
        if files[name].sha256 != sha256:
            raise FetchError(
                Code.CONTENT_CHANGED,
                f"{name} has the SHA-256 {files[name].sha256}, and {completeness.MANIFEST} says "
                f"{sha256}.",
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
