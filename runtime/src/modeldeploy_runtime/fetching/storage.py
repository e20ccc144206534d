"""Lists and reads a storage through fsspec."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from modeldeploy_runtime.fetching.errors import Code, FetchError, classify
from modeldeploy_runtime.fetching.filesystems import files_of
from modeldeploy_runtime.fetching.uris import Location
from modeldeploy_runtime.sources import completeness

CHUNK = 1 << 20
_IN_PARTS = {"block_size": 4 * CHUNK, "cache_type": "readahead"}
_AT_ONCE = {"block_size": 0}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a version: where it is, and what tells one state of it from another."""

    path: str
    size: int
    state: str


class Storage:
    """One model's base path; threads may read from it at any time."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._files: Any = files_of(location)

    def list_folders(self) -> list[str]:
        """
        Name the folders below the base path, which may be versions.

        Raises:
            FetchError: The base path or the storage is not there, or does not answer.
        """
        root = self._location.path.rstrip("/")
        try:
            self._files.invalidate_cache()
            found = self._files.ls(root + "/" * (self._location.protocol == "http"), detail=True)
        except Exception as error:
            if self._location.protocol == "gs" and isinstance(error, FileNotFoundError):
                # gcsfs says the same of a bucket and of a path.
                self._check_container(root)
            raise classify(error, f"Listing {self._location.uri}") from error
        folders = (
            str(info["name"]).rstrip("/")
            for info in found
            if info["type"] == "directory" or str(info["name"]).endswith("/")
        )
        stripped = self._files._strip_protocol(root).rstrip("/")  # noqa: SLF001 - fsspec's own
        return [
            unquote(posixpath.basename(path))
            for path in folders
            if posixpath.dirname(path).rstrip("/") == stripped
        ]

    def manifest(self, files: Mapping[str, RemoteFile]) -> bytes | None:
        """Read the manifest of a version, if it has one."""
        if completeness.MANIFEST not in files:
            return None
        return self.read_whole(files[completeness.MANIFEST].path)

    def list_version(self, version: str) -> dict[str, RemoteFile]:
        """
        List the files of a version by their paths below its folder.

        Raises:
            FetchError: The version or the storage is not there, or does not answer.
        """
        root = self._location.of_version(version)
        shown = self._location.shown(version)
        try:
            if self._location.protocol == "http":
                found = self._list_http(root)
            else:
                self._check_container(root)
                found = self._list_tree(root)
        except Exception as error:
            raise classify(error, f"Listing {shown}") from error
        if not found:
            raise FetchError(
                Code.VERSION_NOT_FOUND, f"There is no version {version}: {shown} holds no files."
            )
        return found

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the contents of a file in pieces."""
        # Not every web server gives out parts of a file, so that one request is to bring it all.
        parts = self._location.protocol != "http"
        with self._files.open(path, "rb", **(_IN_PARTS if parts else _AT_ONCE)) as file:
            while piece := file.read(CHUNK):
                yield piece

    def read_whole(self, path: str) -> bytes:
        """Read a small file."""
        return b"".join(self.read(path))

    def _check_container(self, root: str) -> None:
        """Tell a storage that is not there from a version that is not: a tree's listing cannot."""
        container, _, prefix = root.partition("/")
        there = True
        match self._location.protocol:
            case "s3":
                self._files.call_s3("list_objects_v2", Bucket=container, Prefix=prefix, MaxKeys=1)
            case "gs":
                there = self._is_bucket(container, prefix)
            case "abfs":
                there = self._is_azure_container(root)
            case "file":
                there = Path(self._location.container).is_dir()
        if not there:
            raise FetchError(
                Code.STORAGE_NOT_FOUND, f"There is no such place as {self._location.what}."
            )

    def _is_bucket(self, bucket: str, prefix: str) -> bool:
        try:
            self._files.call("GET", "b/{}/o", bucket, prefix=prefix, maxResults=1)
        except FileNotFoundError:
            return False
        return True

    def _is_azure_container(self, root: str) -> bool:
        try:
            self._files.ls(root)
        except FileNotFoundError as error:
            return classify(error, "Listing").code is not Code.STORAGE_NOT_FOUND
        return True

    def _list_tree(self, root: str) -> dict[str, RemoteFile]:
        self._files.invalidate_cache()
        found = {}
        for path, info in self._files.find(root, detail=True, withdirs=False).items():
            name = posixpath.relpath(path, self._files._strip_protocol(root))  # noqa: SLF001 - fsspec's own
            if not name.startswith("..") and not path.endswith("/"):
                state = str(info.get("ETag") or info.get("etag") or info.get("mtime"))
                found[name] = RemoteFile(path, int(info["size"]), state)
        return found

    def _list_http(self, root: str) -> dict[str, RemoteFile]:
        """List by a manifest where there is one, and else by the links of the server's pages."""
        manifest = f"{root}/{completeness.MANIFEST}"
        if self._files.exists(manifest):
            names = [*completeness.manifest_files(self.read_whole(manifest)), completeness.MANIFEST]
            return {name: self._look_at(f"{root}/{name}") for name in names}
        self._files.invalidate_cache()
        found = {}
        for url in self._walk(f"{root}/"):
            found[unquote(url.removeprefix(f"{root}/"))] = self._look_at(url)
        return found

    def _walk(self, folder: str) -> Iterator[str]:
        for url in self._files.ls(folder, detail=False):
            # A page also links upwards and sideways.
            if not url.startswith(folder) or url == folder or "?" in url:
                continue
            if url.endswith("/"):
                yield from self._walk(url)
            else:
                yield url

    def _look_at(self, url: str) -> RemoteFile:
        info: Mapping[str, Any] = self._files.info(url)
        size = info.get("size")
        if size is None:
            raise FetchError(
                Code.STORAGE_UNAVAILABLE, f"The server does not say how large {url} is."
            )
        state = str(info.get("ETag") or info.get("mtime") or "")
        return RemoteFile(url, int(size), state)
