"""
The pure parts of fetching: URIs, digests, reports, the kinds of failure, and a look into files.
"""

import errno
import hashlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy_runtime.fetching import digest, errors, uris, wire_check
from modeldeploy_runtime.fetching.digest import FileDigest
from modeldeploy_runtime.fetching.errors import Code, FetchError
from modeldeploy_runtime.fetching.report import MAX_BYTES, Report


@pytest.mark.parametrize(
    ("uri", "protocol", "folder"),
    [
        ("s3://bucket", "s3", "bucket/3"),
        ("s3://bucket/a/b/", "s3", "bucket/a/b/3"),
        ("gs://bucket/a/b/", "gs", "bucket/a/b/3"),
        ("abfs://container/a", "abfs", "container/a/3"),
        ("abfss://container@account.dfs.core.windows.net/a/", "abfs", "container/a/3"),
        ("https://host/models/mnist/", "http", "https://host/models/mnist/3"),
        ("http://host:80/a%20b", "http", "http://host:80/a%20b/3"),
        ("pvc://claim/a/b", "file", "/pvc/claim/a/b/3"),
        ("pvc://claim", "file", "/pvc/claim/3"),
        ("file:///models/m", "file", "/models/m/3"),
        ("/models/m n", "file", "/models/m n/3"),
    ],
)
def test_uris(uri: str, protocol: str, folder: str) -> None:
    """
    Each URI leads to a version's folder in the words of its storage.
    """
    location = uris.parse(uri)
    assert (location.protocol, location.of_version("3")) == (protocol, folder)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "models/mnist",
        "gcs://bucket/a",
        "gs://",
        "abfs://@account.dfs.core.windows.net/a",
        "abfss://container@account/a",
        "s3://",
        "http:///a",
        "pvc://Claim/a",
        "file://host/a",
        "file:///",
        "s3://bucket/../other",
        "http://host/a?b=c",
        "http://[/a",
        "pvc://claim/%2e%2e/other",
    ],
)
def test_wrong_uris(uri: str) -> None:
    """
    What is no URI of a model is refused for good.
    """
    with pytest.raises(FetchError) as caught:
        uris.parse(uri)
    assert caught.value.code is Code.INVALID_URI
    assert caught.value.code in errors.PERMANENT


@pytest.mark.parametrize("version", ["", ".", "..", "a/b", "a\n"])
def test_wrong_versions(version: str) -> None:
    """
    A version is the name of one folder.
    """
    with pytest.raises(FetchError):
        uris.check_version(version)


def test_digest() -> None:
    """
    The digest is computed as its description says, whatever the order, without the marker.
    """
    files = {"b": FileDigest(2, "22"), "a/c": FileDigest(1, "11"), "_SUCCESS": FileDigest(0, "00")}
    expected = hashlib.sha256(b"a/c\x001\x0011\nb\x002\x0022\n").hexdigest()
    assert digest.of_files(files) == f"sha256:{expected}"
    assert digest.of_files(dict(reversed(files.items()))) == f"sha256:{expected}"


@given(st.text(max_size=20_000), st.sampled_from(Code), st.text(max_size=20_000))
def test_reports_fit(message: str, code: Code, warning: str) -> None:
    """
    A report of any failure fits the place that Kubernetes keeps for it.
    """
    report = Report(code, message, "sha256:" + "0" * 64, 10**6, 10**15, 10**15, warning)
    text = report.to_json()
    assert len(text.encode()) <= MAX_BYTES
    written = json.loads(text)
    assert written["code"] == code.value
    assert warning.startswith(written.get("warning", "").rstrip("…"))
    assert (
        written["message"].rstrip("…") == message[: len(written["message"].rstrip("…"))].rstrip("…")
        or written["message"] == message
    )


@pytest.mark.parametrize(
    ("code", "permanent", "status"),
    [
        (Code.FETCHED, False, 0),
        (Code.VERSION_NOT_FOUND, True, 2),
        (Code.STORAGE_NOT_FOUND, True, 2),
        (Code.CONTENT_CHANGED, True, 2),
        (Code.MODEL_UNUSABLE, True, 2),
        (Code.SIGNATURE_MISSING, True, 2),
        (Code.SIGNATURE_INCOMPATIBLE, True, 2),
        (Code.INVALID_URI, True, 2),
        (Code.ACCESS_DENIED, False, 1),
        (Code.INCOMPLETE, False, 1),
        (Code.STORAGE_UNAVAILABLE, False, 1),
        (Code.NO_SPACE, False, 1),
        (Code.CACHE_UNUSABLE, False, 1),
    ],
)
def test_codes(
    code: Code,
    permanent: bool,  # noqa: FBT001 - a table's column
    status: int,
) -> None:
    """
    Each code has its exit status and says whether it stays.
    """
    report = Report(code, "A sentence.")
    assert report.exit_status == status
    assert json.loads(report.to_json())["permanent"] is permanent


class _ServiceError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class _StatusError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def _wrapped(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FetchError(Code.NO_SPACE, "Full."), Code.NO_SPACE),
        (_wrapped(FileNotFoundError("x"), _ServiceError("NoSuchBucket")), Code.STORAGE_NOT_FOUND),
        (_wrapped(PermissionError("x"), _ServiceError("AccessDenied")), Code.ACCESS_DENIED),
        (_wrapped(OSError("x"), _ServiceError("SlowDown")), Code.STORAGE_UNAVAILABLE),
        (FileNotFoundError("x"), Code.VERSION_NOT_FOUND),
        (_StatusError(403), Code.ACCESS_DENIED),
        (_StatusError(404), Code.VERSION_NOT_FOUND),
        (_StatusError(500), Code.STORAGE_UNAVAILABLE),
        (OSError(errno.ENOSPC, "full"), Code.NO_SPACE),
        (OSError(errno.EACCES, "no"), Code.ACCESS_DENIED),
        (ConnectionRefusedError("x"), Code.STORAGE_UNAVAILABLE),
        (TimeoutError(), Code.STORAGE_UNAVAILABLE),
        (RuntimeError("x"), Code.STORAGE_UNAVAILABLE),
    ],
)
def test_kinds_of_failure(error: Exception, code: Code) -> None:
    """
    What a service said counts more than what a library made of it; the unknown may pass.
    """
    assert errors.classify(error, "Listing it").code is code


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"\x08\x01" + _field(2, b"graph"), None),
        (_field(2, b"graph") + b"\x19" + bytes(8) + b"\x25" + bytes(4), None),
        (b"", "it holds no graph"),
        (b"\x08\x01", "it holds no graph"),
        (_field(2, b"graph")[:-1], "it ends in the middle"),
        (b"This is text.", "it is not a SavedModel"),
        (b"\x0b", "it is not a SavedModel"),
        (b"\x08" + b"\xff" * 11, "it is not a SavedModel"),
    ],
)
def test_wire_check(content: bytes, wrong: str | None) -> None:
    """
    A file that is cut off or something else is found without TensorFlow.
    """
    assert wire_check.what_is_wrong(io.BytesIO(content), len(content)) == wrong
