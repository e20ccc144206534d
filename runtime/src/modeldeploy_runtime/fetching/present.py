"""What an earlier fetch left of a version: what it contains, and where that came from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime.fetching import digest, download
from modeldeploy_runtime.fetching.digest import FileDigest
from modeldeploy_runtime.fetching.errors import Code
from modeldeploy_runtime.fetching.report import Report
from modeldeploy_runtime.fetching.storage import RemoteFile
from modeldeploy_runtime.sources import completeness


@dataclass(frozen=True, slots=True)
class Version:
    """The files of a version on the disk, and what its marker says of their origin."""

    files: Mapping[str, FileDigest]
    origin: str = ""

    @property
    def digest(self) -> str:
        """What the files contain."""
        return digest.of_files(self.files)

    def came_from(self, listed: Mapping[str, RemoteFile]) -> bool:
        """Tell whether the files are what a fetch of this listing left, unchanged."""
        return self.origin == _origin(self.digest, listed)

    def told(self, message: str, downloaded: int = 0) -> Report:
        """Say that the version is here."""
        contents = [file for name, file in self.files.items() if name not in digest.NO_CONTENTS]
        size = sum(file.size for file in contents)
        return Report(Code.FETCHED, message, self.digest, len(contents), size, downloaded)


def read(folder: Path) -> Version | None:
    """Read what an earlier run left; only a folder with its marker was brought here whole."""
    marker = folder / completeness.MARKER
    if not marker.exists():
        return None
    return Version(download.digest_folder(folder), marker.read_text(errors="replace"))


def mark(folder: Path, files: Mapping[str, FileDigest], listed: Mapping[str, RemoteFile]) -> None:
    """Mark a folder as whole, and write down where its files came from."""
    (folder / completeness.MARKER).write_text(_origin(digest.of_files(files), listed))


def _origin(contents: str, listed: Mapping[str, RemoteFile]) -> str:
    """Name a digest and the state of the storage in which it was found."""
    origin = hashlib.sha256(contents.encode())
    for name in sorted(listed.keys() - digest.NO_CONTENTS):
        file = listed[name]
        line = f"{name}\0{file.size}\0{file.state}\n"
        origin.update(line.encode("utf-8", "surrogateescape"))
    return origin.hexdigest()
