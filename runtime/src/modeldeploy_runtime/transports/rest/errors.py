"""How an error looks over REST: the HTTP status for each code, and the JSON body."""

import json

from modeldeploy_runtime.servables.errors import Code

HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}

# The codes under which refusals that have only an HTTP status are counted.
REFUSAL_CODES = {
    400: Code.INVALID_ARGUMENT,
    404: Code.NOT_FOUND,
    405: Code.UNIMPLEMENTED,
    # The client was slow, and the server is not to blame.
    408: Code.CANCELLED,
    413: Code.INVALID_ARGUMENT,
    414: Code.INVALID_ARGUMENT,
    431: Code.INVALID_ARGUMENT,
    503: Code.UNAVAILABLE,
}

_AGAIN = frozenset({Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE})


def headers(code: Code) -> tuple[tuple[bytes, bytes], ...]:
    """Give what a client should know beside the body: whether to try again, in seconds."""
    return ((b"retry-after", b"1"),) if code in _AGAIN else ()


def body(message: str) -> bytes:
    """Write an error as TensorFlow Serving lays it out."""
    text = json.dumps({"error": message}, indent=4, ensure_ascii=False)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
