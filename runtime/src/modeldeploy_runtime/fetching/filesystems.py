"""
Opens a storage as fsspec's file system.

Credentials and endpoints come from the environment under the names that the storages' own SDKs use.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import fsspec

from modeldeploy_runtime.fetching.errors import Code, FetchError
from modeldeploy_runtime.fetching.uris import Location

SILENCE_SECONDS = 60.0
"""So long may a server say nothing; a large file may take its time."""

_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_GOOGLE_KEY = "GOOGLE_APPLICATION_CREDENTIALS"
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_AZURE_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"


def files_of(location: Location) -> Any:
    """
    Open the storage of a location as fsspec's file system.

    Raises:
        FetchError: It cannot be used here, or its credentials cannot.
    """
    try:
        return _OPENED.get(location.protocol, _other)(location)
    except (ImportError, ValueError) as error:
        raise FetchError(
            Code.INVALID_URI, f"The storage {location.protocol}:// cannot be used here: {error}."
        ) from error


def _other(location: Location) -> Any:
    return fsspec.filesystem(location.protocol)


def _s3(_location: Location) -> Any:
    options: dict[str, Any] = {"use_listings_cache": False}
    if any(os.environ.get(name) for name in _S3_ENDPOINTS):
        # Stores other than Amazon's seldom have a host name for each bucket.
        options["config_kwargs"] = {"s3": {"addressing_style": "path"}}
    return fsspec.filesystem("s3", **options)


def _http(_location: Location) -> Any:
    client = {"trust_env": True, "timeout": _timeout()}
    return fsspec.filesystem("http", client_kwargs=client, use_listings_cache=False)


def _google(_location: Location) -> Any:
    # The class that fsspec would choose asks for each bucket's kind over gRPC first, with
    # credentials that an emulator and a public bucket have no use for.
    from gcsfs.core import GCSFileSystem  # noqa: PLC0415 - half a second, for one protocol alone

    return GCSFileSystem(
        token=_google_token(),
        access="read_only",
        session_kwargs={"timeout": _timeout()},
        use_listings_cache=False,
    )


def _google_token() -> Any:
    """
    Find the credentials: a key in the environment itself, or what the SDK finds by itself.
    """
    import google.auth  # noqa: PLC0415 - as above

    key = os.environ.get(_GOOGLE_KEY, "")
    if not key:
        return "anon" if os.environ.get("STORAGE_EMULATOR_HOST") else None
    if not key.lstrip().startswith("{"):
        if Path(key).is_file():
            return None
        raise FetchError(
            Code.ACCESS_DENIED,
            f"{_GOOGLE_KEY} must be a key in JSON or the path of one: there is no such file.",
        )
    load: Any = google.auth.load_credentials_from_dict
    try:
        return load(json.loads(key), scopes=[_GOOGLE_SCOPE])[0]
    except (ValueError, google.auth.exceptions.GoogleAuthError) as error:
        raise FetchError(
            Code.ACCESS_DENIED, f"The key in {_GOOGLE_KEY} cannot be used: {error}."
        ) from error


def _azure(location: Location) -> Any:
    options: dict[str, Any] = {}
    if location.host:
        account = location.host.partition(".")[0]
        known = re.search(r"(?:^|;)AccountName=([^;]*)", os.environ.get(_AZURE_CONNECTION, ""))
        if known and known[1] != account:
            raise FetchError(
                Code.INVALID_URI,
                f"{location.uri} names the account {account}, and {_AZURE_CONNECTION} "
                f"the account {known[1]}; leave one of them out.",
            )
        options["account_name"] = account
        options["account_host"] = location.host.replace(".dfs.", ".blob.", 1)
    return fsspec.filesystem(
        "abfs",
        use_listings_cache=False,
        connection_timeout=SILENCE_SECONDS,
        read_timeout=SILENCE_SECONDS,
        **options,
    )


def _timeout() -> Any:
    import aiohttp  # noqa: PLC0415 - a tenth of a second, which not every protocol needs

    return aiohttp.ClientTimeout(
        total=None, sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS
    )


_OPENED = {"s3": _s3, "http": _http, "gs": _google, "abfs": _azure}
