"""
Base paths: where version folders are listed and read, on this machine or elsewhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from modeldeploy_runtime.fetching.errors import PERMANENT, Code, FetchError
from modeldeploy_runtime.fetching.storage import Storage
from modeldeploy_runtime.fetching.uris import Location
from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.sources import completeness
from modeldeploy_runtime.sources.cache import VersionCache
from modeldeploy_runtime.sources.port import StoredVersion

# The paths of a version's files with their sizes and something that changes with their contents.
Listing = Mapping[str, tuple[int, str]]


class Place(Protocol):
    """A model's base path; the methods raise ``OSError`` or ``FetchError``."""

    @property
    def is_remote(self) -> bool:
        """Whether looking costs somebody's money."""

    def folders(self) -> list[str]:
        """Name the folders that may be versions."""

    def listing(self, version: str) -> Listing:
        """List the files of a version."""

    def lack(self, version: str, listing: Listing) -> str | None:
        """Say what a version lacks to be complete, or nothing."""

    def stored(self, version: str) -> StoredVersion:
        """Name the files of a version for its loader."""


class LocalPlace:
    """A folder of this machine."""

    is_remote = False

    def __init__(self, base: Path, *, saved_model: bool) -> None:
        self._base = base
        self._saved_model = saved_model

    def folders(self) -> list[str]:
        """Name the folders below the base path."""
        return [child.name for child in self._base.iterdir() if child.is_dir()]

    def listing(self, version: str) -> Listing:
        """List the files of a version with their sizes and times of change."""
        folder = self._base / version
        found = {}
        for path in folder.rglob("*"):
            if path.is_file():
                stat = path.stat()
                name = path.relative_to(folder).as_posix()
                found[name] = (stat.st_size, str(stat.st_mtime_ns))
        return found

    def lack(self, version: str, listing: Listing) -> str | None:
        """Say what a version lacks."""
        manifest = None
        if completeness.MANIFEST in listing:
            manifest = (self._base / version / completeness.MANIFEST).read_bytes()
        return _missing(listing, manifest, saved_model=self._saved_model)

    def stored(self, version: str) -> StoredVersion:
        """Name the folder of a version."""
        return _Local(self._base / version)


class _Local:
    """A version that needs not be brought."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def bring(self) -> Path:
        return self._path

    def drop(self) -> None:
        return


class RemotePlace:
    """A base path in a storage that fsspec reads; versions are brought to a cache on the disk."""

    is_remote = True

    def __init__(
        self, model: str, location: Location, cache: VersionCache, *, saved_model: bool
    ) -> None:
        self._model = model
        self._location = location
        self._cache = cache
        self._saved_model = saved_model

    def folders(self) -> list[str]:
        """Name the folders below the base path."""
        return Storage(self._location).list_folders()

    def listing(self, version: str) -> Listing:
        """List the files of a version with their sizes and tags."""
        files = Storage(self._location).list_version(version)
        return {name: (file.size, file.state) for name, file in files.items()}

    def lack(self, version: str, listing: Listing) -> str | None:
        """Say what a version lacks."""
        manifest = None
        if completeness.MANIFEST in listing:
            storage = Storage(self._location)
            manifest = storage.manifest(storage.list_version(version))
        return _missing(listing, manifest, saved_model=self._saved_model)

    def stored(self, version: str) -> StoredVersion:
        """Name a version for its loader, which will have it brought."""
        return _Remote(self, version)

    def bring(self, version: str) -> Path:
        """Have the cache fetch a version."""
        try:
            return self._cache.bring(
                self._model, self._location, version, saved_model=self._saved_model
            )
        except FetchError as error:
            raise errors.LoadError(
                error.message, _CODES.get(error.code), permanent=error.code in PERMANENT
            ) from error

    def drop(self, version: str) -> None:
        """Have the cache remove a version."""
        self._cache.drop(self._model, self._location, version)


class _Remote:
    """A version that is brought to the cache while somebody needs it."""

    def __init__(self, place: RemotePlace, version: str) -> None:
        self._place = place
        self._version = version
        self._held = False

    def bring(self) -> Path:
        self._held = True
        return self._place.bring(self._version)

    def drop(self) -> None:
        if self._held:
            self._held = False
            self._place.drop(self._version)


_CODES = {
    Code.VERSION_NOT_FOUND: errors.Code.NOT_FOUND,
    Code.STORAGE_NOT_FOUND: errors.Code.NOT_FOUND,
    Code.CONTENT_CHANGED: errors.Code.DATA_LOSS,
    Code.MODEL_UNUSABLE: errors.Code.DATA_LOSS,
    Code.INVALID_URI: errors.Code.INVALID_ARGUMENT,
    Code.ACCESS_DENIED: errors.Code.PERMISSION_DENIED,
    Code.INCOMPLETE: errors.Code.UNAVAILABLE,
    Code.STORAGE_UNAVAILABLE: errors.Code.UNAVAILABLE,
    Code.NO_SPACE: errors.Code.RESOURCE_EXHAUSTED,
}


def _missing(listing: Listing, manifest: bytes | None, *, saved_model: bool) -> str | None:
    sizes = {name: size for name, (size, _) in listing.items()}
    return completeness.what_is_missing(sizes, manifest, saved_model=saved_model)
