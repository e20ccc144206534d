"""
What can go wrong in the runtime, without a word about HTTP or gRPC.

    ServingError                the code says whose fault it is; the message is for people
    ├── InvalidArgumentError    the request is wrong
    ├── NotFoundError           no such model, version or label
    ├── PreconditionError       the request is right, but not for this model
    ├── UnimplementedError      known, and not offered
    ├── DeadlineError           it took longer than the caller wanted to wait
    ├── UnavailableError        not now
    ├── ResourceError           too much for this server
    ├── InternalError           our fault, or the model's
    └── LoadError               a version could not be loaded; knows whether trying again may help

Transports translate the code by a table of their own.
"""

import enum


class Code(enum.Enum):
    """The canonical codes, with the numbers that gRPC and TensorFlow give them."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ServingError(Exception):
    """Base of all errors that a client may be told."""

    code = Code.UNKNOWN

    def __init__(self, message: str, code: Code | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidArgumentError(ServingError):
    """The request is wrong in itself."""

    code = Code.INVALID_ARGUMENT


class NotFoundError(ServingError):
    """There is no such model, version or label."""

    code = Code.NOT_FOUND


class PreconditionError(ServingError):
    """The request does not fit the model that it names."""

    code = Code.FAILED_PRECONDITION


class UnimplementedError(ServingError):
    """The request is understood and not offered."""

    code = Code.UNIMPLEMENTED


class DeadlineError(ServingError):
    """The answer would come too late."""

    code = Code.DEADLINE_EXCEEDED


class UnavailableError(ServingError):
    """The server cannot answer now and may be able to soon."""

    code = Code.UNAVAILABLE


class ResourceError(ServingError):
    """The request needs more than this server gives."""

    code = Code.RESOURCE_EXHAUSTED


class InternalError(ServingError):
    """The server or the model is at fault."""

    code = Code.INTERNAL


class LoadError(ServingError):
    """
    A version could not be loaded.

    A permanent error lies in the version's own files: trying again cannot help until they change.
    """

    code = Code.UNKNOWN

    def __init__(self, message: str, code: Code | None = None, *, permanent: bool) -> None:
        super().__init__(message, code)
        self.permanent = permanent
