"""
Why a version could not be fetched, in the words that operators act upon.

A permanent failure stays until somebody changes something; the others may pass by themselves.
"""

import asyncio
import enum
import errno
from dataclasses import dataclass


class Code(enum.Enum):
    """What came of it; the value is the spelling on the wire."""

    FETCHED = "Fetched"
    VERSION_NOT_FOUND = "VersionNotFound"
    STORAGE_NOT_FOUND = "StorageNotFound"
    CONTENT_CHANGED = "ContentChanged"
    MODEL_UNUSABLE = "ModelUnusable"
    SIGNATURE_MISSING = "SignatureMissing"
    SIGNATURE_INCOMPATIBLE = "SignatureIncompatible"
    INVALID_URI = "InvalidURI"
    ACCESS_DENIED = "AccessDenied"
    INCOMPLETE = "Incomplete"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    NO_SPACE = "NoSpace"
    CACHE_UNUSABLE = "CacheUnusable"


PERMANENT = frozenset(
    {
        Code.VERSION_NOT_FOUND,
        Code.STORAGE_NOT_FOUND,
        Code.CONTENT_CHANGED,
        Code.MODEL_UNUSABLE,
        Code.SIGNATURE_MISSING,
        Code.SIGNATURE_INCOMPATIBLE,
        Code.INVALID_URI,
    }
)


@dataclass(eq=False)
class FetchError(Exception):
    """A version that could not be fetched, with a sentence for people."""

    code: Code
    message: str

    def __str__(self) -> str:
        return self.message


# What S3, Azure and their kin call their errors.
_BY_SERVICE_CODE = {
    "NoSuchBucket": Code.STORAGE_NOT_FOUND,
    "NoSuchKey": Code.VERSION_NOT_FOUND,
    "AccessDenied": Code.ACCESS_DENIED,
    "InvalidAccessKeyId": Code.ACCESS_DENIED,
    # versitygw's word for the same.
    "XAdminUserNotFound": Code.ACCESS_DENIED,
    "SignatureDoesNotMatch": Code.ACCESS_DENIED,
    "ExpiredToken": Code.ACCESS_DENIED,
    "InvalidToken": Code.ACCESS_DENIED,
    "403": Code.ACCESS_DENIED,
    "401": Code.ACCESS_DENIED,
    "InvalidBucketName": Code.INVALID_URI,
    "ContainerNotFound": Code.STORAGE_NOT_FOUND,
    "InvalidResourceName": Code.INVALID_URI,
}
_BY_HTTP_STATUS = {
    401: Code.ACCESS_DENIED,
    403: Code.ACCESS_DENIED,
    404: Code.VERSION_NOT_FOUND,
    410: Code.VERSION_NOT_FOUND,
}
# Where aiohttp, azure-core and gcsfs have it.
_STATUS = ("status", "status_code", "code")
_BY_ERRNO = {
    errno.ENOSPC: Code.NO_SPACE,
    errno.EDQUOT: Code.NO_SPACE,
    errno.EACCES: Code.ACCESS_DENIED,
    errno.EPERM: Code.ACCESS_DENIED,
}
_BY_TYPE: tuple[tuple[type[BaseException], Code], ...] = (
    (PermissionError, Code.ACCESS_DENIED),
    (FileNotFoundError, Code.VERSION_NOT_FOUND),
    (NotADirectoryError, Code.VERSION_NOT_FOUND),
    (ConnectionError, Code.STORAGE_UNAVAILABLE),
    (TimeoutError, Code.STORAGE_UNAVAILABLE),
    (asyncio.TimeoutError, Code.STORAGE_UNAVAILABLE),
)
_BY_NAME = {
    "NoCredentialsError": Code.ACCESS_DENIED,
    "PartialCredentialsError": Code.ACCESS_DENIED,
    "ProfileNotFound": Code.ACCESS_DENIED,
    "ClientAuthenticationError": Code.ACCESS_DENIED,
    "CredentialUnavailableError": Code.ACCESS_DENIED,
    "RefreshError": Code.ACCESS_DENIED,
    "InvalidURL": Code.INVALID_URI,
    "InvalidUrlClientError": Code.INVALID_URI,
}


def classify(error: BaseException, doing: str) -> FetchError:
    """
    Find out what kind of failure an exception of a storage library is.

    The libraries wrap the cause in exceptions of their own, so that the whole chain is looked at,
    for what a service said before what the libraries made of it.  What nobody knows is taken to be
    the storage's fault, which is tried again.
    """
    if isinstance(error, FetchError):
        return error
    message = f"{doing} failed: {_describe(error)}"
    for judge in (_by_answer, _by_type):
        cause: BaseException | None = error
        while cause is not None:
            code = judge(cause)
            if code is not None:
                return FetchError(code, message)
            cause = cause.__cause__ or cause.__context__
    return FetchError(Code.STORAGE_UNAVAILABLE, message)


def _by_answer(error: BaseException) -> Code | None:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        service_code = str(response.get("Error", {}).get("Code", ""))
        if service_code in _BY_SERVICE_CODE:
            return _BY_SERVICE_CODE[service_code]
    azure_code = getattr(error, "error_code", None)
    azure_code = getattr(azure_code, "value", azure_code)
    if azure_code in _BY_SERVICE_CODE:
        return _BY_SERVICE_CODE[azure_code]
    for name in _STATUS:
        status = getattr(error, name, None)
        if isinstance(status, int) and status in _BY_HTTP_STATUS:
            return _BY_HTTP_STATUS[status]
    # gcsfs has no more than these words for a refusal.
    if type(error) is OSError and str(error).startswith("Forbidden: "):
        return Code.ACCESS_DENIED
    return _BY_ERRNO.get(error.errno) if isinstance(error, OSError) and error.errno else None


def _by_type(error: BaseException) -> Code | None:
    for kind, code in _BY_TYPE:
        if isinstance(error, kind):
            return code
    return _BY_NAME.get(type(error).__name__)


def _describe(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
