"""Brings one version of a model to the disk: whole, verified, or not at all."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime.fetching import digest, download, present, uris, wire_check
from modeldeploy_runtime.fetching.digest import FileDigest
from modeldeploy_runtime.fetching.errors import Code, FetchError, classify
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.fetching.shared import lock
from modeldeploy_runtime.fetching.storage import RemoteFile, Storage
from modeldeploy_runtime.fetching.uris import Location
from modeldeploy_runtime.sources import completeness

PLATFORMS = ("tensorflow",)
"""Those of which somebody may say that a version must be."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    What is to be brought, and where to.

    ``saved_model`` tells whether the files must be those of a SavedModel, ``platform`` whether
    somebody said so, and ``shared`` whether fetches in other pods fill the same folder.
    """

    location: Location
    version: str
    to: Path
    digest: str = ""
    saved_model: bool = True
    platform: str = ""
    shared: bool = False

    @property
    def target(self) -> Path:
        """The folder that the version is to have."""
        return self.to / self.version

    @property
    def source(self) -> str:
        """Name the version's folder in the storage as people know it."""
        return self.location.shown(self.version)


def bring(wanted: Wanted) -> Report:
    """
    Bring one version to ``to/version``, or find that it is there already.

    Raises:
        FetchError: It cannot be done.
    """
    uris.check_version(wanted.version)
    if not wanted.shared:
        return _use_or_fetch(wanted)
    # A version comes by one rename, so that one with the digest asked for needs no lock.
    with contextlib.suppress(OSError):
        if report := _verified(wanted, present.read(wanted.target)):
            return report
    with lock.alone(wanted.to):
        return _use_or_fetch(wanted)


def _use_or_fetch(wanted: Wanted) -> Report:
    here = present.read(wanted.target)
    if report := _verified(wanted, here):
        return report
    storage = Storage(wanted.location)
    listed = storage.list_version(wanted.version)
    manifest = _check_complete(wanted, storage, listed)
    if here and not wanted.digest and here.came_from(listed):
        return here.told(f"{wanted.source} was here already.")
    files = _bring(wanted, storage, listed, manifest)
    size = sum(file.size for file in files.values())
    return present.Version(files).told(f"Fetched {wanted.source}.", size)


def _verified(wanted: Wanted, here: present.Version | None) -> Report | None:
    """Use what is here without a look at the storage, if it is what the digest says."""
    if here is None or not wanted.digest or here.digest != wanted.digest:
        return None
    return here.told(f"{wanted.source} was here already and has the digest asked for.")


def _check_complete(
    wanted: Wanted, storage: Storage, listed: Mapping[str, RemoteFile]
) -> bytes | None:
    """Make sure that everything is there, and return the manifest."""
    if wanted.platform and (foreign := completeness.what_is_foreign(listed)):
        raise FetchError(
            Code.MODEL_UNUSABLE,
            f"The version is not of the platform {wanted.platform}, which is asked for: it holds "
            f"{foreign} and no saved_model.pb.",
        )
    manifest = storage.manifest(listed)
    sizes = {name: file.size for name, file in listed.items()}
    if lack := completeness.what_is_missing(sizes, manifest, saved_model=wanted.saved_model):
        raise FetchError(Code.INCOMPLETE, f"The version is not complete: {lack}")
    if wanted.saved_model and not completeness.has_graph(listed):
        raise FetchError(
            Code.MODEL_UNUSABLE, "The version says that it is complete and has no saved_model.pb."
        )
    return manifest


def _bring(
    wanted: Wanted, storage: Storage, listed: Mapping[str, RemoteFile], manifest: bytes | None
) -> dict[str, FileDigest]:
    """Download beside the target, verify, and put it into place by one rename."""
    size = sum(file.size for file in listed.values())
    target = wanted.target
    temporary = _make_temporary(wanted.to, wanted.version, size)
    try:
        _log.info("Fetching %d files with %d bytes.", len(listed), size)
        files = download.download(storage, listed, temporary)
        _check_unchanged(listed, storage.list_version(wanted.version))
        _check_manifest(files, manifest)
        _check_contents(files, temporary, wanted.digest)
        present.mark(temporary, files, listed)
        _move(temporary, target)
    except (OSError, FetchError) as error:
        failure = classify(error, f"Writing to {target}")
        if failure.code is Code.NO_SPACE:
            failure.message = f"{wanted.to} became full; the version needs {size} bytes."
        raise failure from error
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
    """
    Put a version into place; what stands there is replaced, as it is not what was asked for.

    Servers in other pods may be looking, so that its place is empty for no longer than it must.
    """
    aside = target.with_name(f"{temporary.name}.old")
    if target.exists():
        target.rename(aside)
    os.replace(temporary, target)  # noqa: PTH105 - atomic, and says so
    shutil.rmtree(aside, ignore_errors=True)
