"""
One name for the contents of a version: pure.

The digest is the SHA-256 of one line for each file, sorted by path: the path, its size and the
SHA-256 of its contents, separated by zero bytes.  Markers of completeness are no contents.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from modeldeploy_runtime.sources import completeness

NO_CONTENTS = frozenset({completeness.MARKER})


@dataclass(frozen=True, slots=True)
class FileDigest:
    """One file's size and the SHA-256 of its contents in hexadecimal digits."""

    size: int
    sha256: str


def of_files(files: Mapping[str, FileDigest]) -> str:
    """Compute the digest of a version from those of its files."""
    total = hashlib.sha256()
    for path in sorted(files.keys() - NO_CONTENTS):
        file = files[path]
        total.update(f"{path}\0{file.size}\0{file.sha256}\n".encode("utf-8", "surrogateescape"))
    return f"sha256:{total.hexdigest()}"
