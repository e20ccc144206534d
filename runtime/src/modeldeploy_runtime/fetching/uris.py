"""
Reads the URI of a model: pure.

    s3://BUCKET/path   gs://BUCKET/path    abfs://CONTAINER/path
    pvc://CLAIM/path   https://HOST/path   abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/path
    file:///path       http://HOST/path    /path

A server that reads its models itself takes any other scheme that fsspec knows, too.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

from modeldeploy_runtime.fetching.errors import Code, FetchError

SCHEMES = ("s3", "gs", "abfs", "abfss", "https", "http", "pvc", "file")

_CLAIM = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Location:
    """
    Where a model's version folders are.

    Attributes:
        protocol: The name by which fsspec knows the storage: ``s3``, ``gs``, ``abfs``, ``http``
            or ``file``.
        container: The bucket, or the folder of the claim; empty where there is no such thing.
        path: The base path in fsspec's spelling.
        what: How people call the container.
        uri: What the person wrote.
        host: Where the storage answers, as far as the URI names it beside the container.
    """

    protocol: str
    container: str
    path: str
    what: str
    uri: str
    host: str = ""

    def of_version(self, version: str) -> str:
        """Name the folder of one version."""
        return f"{self.path.rstrip('/')}/{version}"

    def shown(self, version: str) -> str:
        """Name the folder of one version as people know it."""
        return f"{self.uri.rstrip('/')}/{version}"


def parse(uri: str, pvc_root: str = "/pvc", more: Collection[str] = ()) -> Location:
    """
    Read a URI; ``more`` names further schemes, whose storages fsspec calls the same.

    Raises:
        FetchError: The URI is not one of those above.
    """
    if uri.startswith("/"):
        uri = f"file://{uri}"
    parts = _split(uri, {*SCHEMES, *more})
    if parts.scheme == "file":
        return _file(uri, parts.netloc, unquote(parts.path))
    if not parts.netloc:
        raise _invalid(uri, f"nothing stands behind {parts.scheme}://")
    if parts.scheme in {"s3", "gs"}:
        path = f"{parts.netloc}{parts.path}".rstrip("/")
        return Location(parts.scheme, parts.netloc, path, f"the bucket {parts.netloc}", uri)
    if parts.scheme in {"abfs", "abfss"}:
        return _azure(uri, parts.netloc, parts.path)
    if parts.scheme == "pvc":
        return _claim(uri, parts.netloc, unquote(parts.path), pvc_root)
    if parts.scheme in SCHEMES:
        return Location("http", "", uri.rstrip("/"), f"the server {parts.netloc}", uri)
    path = f"{parts.netloc}{parts.path}".rstrip("/")
    return Location(parts.scheme, parts.netloc, path, f"the storage {parts.netloc}", uri)


def _split(uri: str, schemes: Collection[str]) -> SplitResult:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise _invalid(uri, f"it cannot be read: {error}") from error
    if parts.scheme not in schemes:
        raise _invalid(uri, f"the scheme must be one of {', '.join(sorted(schemes))}")
    if parts.query or parts.fragment:
        raise _invalid(uri, "it has a query or a fragment")
    if ".." in PurePosixPath(unquote(parts.path)).parts:
        raise _invalid(uri, "its path leads upwards")
    return parts


def _file(uri: str, host: str, path: str) -> Location:
    if host not in {"", "localhost"}:
        raise _invalid(uri, "a file URI names no host; write file:///path")
    if path in {"", "/"}:
        raise _invalid(uri, "it names no folder")
    return Location("file", path, path, f"the folder {path}", uri)


def _azure(uri: str, netloc: str, path: str) -> Location:
    container, at, host = netloc.partition("@")
    if not container or (at and ".dfs." not in host):
        raise _invalid(
            uri, "write abfs://CONTAINER/PATH or abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"
        )
    what = f"the container {container}"
    return Location("abfs", container, f"{container}{path}".rstrip("/"), what, uri, host)


def _claim(uri: str, claim: str, path: str, pvc_root: str) -> Location:
    if not _CLAIM.fullmatch(claim):
        raise _invalid(uri, f"{claim} cannot be the name of a claim")
    mount = f"{pvc_root.rstrip('/')}/{claim}"
    return Location("file", mount, f"{mount}{path}".rstrip("/"), f"the claim {claim}", uri)


def check_version(version: str) -> str:
    """
    Make sure that a version is the name of one folder.

    Raises:
        FetchError: It is not.
    """
    if not version or "/" in version or version in {".", ".."} or not version.isprintable():
        raise FetchError(
            Code.INVALID_URI, f'The version "{version}" cannot be the name of a folder.'
        )
    return version


def _invalid(uri: str, why: str) -> FetchError:
    return FetchError(Code.INVALID_URI, f"{uri} is not a URI of a model: {why}.")
