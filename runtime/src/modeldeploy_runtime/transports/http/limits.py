"""
What an HTTP server bears of one client, and the sentences for what it does not: pure.

Every limit has a flag; docs/reference/runtime-security.md lists them with their errors.
"""

from dataclasses import dataclass

# So many bytes a second are enough for a body not to be called slow.
LEAST_BYTES_PER_SECOND = 1024


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Sizes are in bytes, times in seconds."""

    connections: int = 4096
    request_line: int = 16 * 1024
    headers: int = 64 * 1024
    headers_timeout: float = 30.0
    body_timeout: float = 30.0
    keep_alive_timeout: float = 75.0


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that a client does not keep: the HTTP status, and a sentence for the client."""

    status: int
    message: str


def malformed(reason: str) -> Breach:
    """Describe a request that is no HTTP, in the parser's words."""
    return Breach(400, f"This is not HTTP/1.1 as this server speaks it: {reason.rstrip('.')}.")


def long_request_line(limits: HttpLimits) -> Breach:
    """Describe a path that is too long."""
    return Breach(
        414,
        f"The request's path is longer than {limits.request_line} bytes, which is all this server "
        "takes.",
    )


def long_headers(limits: HttpLimits) -> Breach:
    """Describe headers that are too long together."""
    return Breach(
        431,
        f"The headers are longer than {limits.headers} bytes, which is all this server takes.",
    )


def slow_headers(limits: HttpLimits) -> Breach:
    """Describe headers that do not come to their end."""
    return Breach(
        408, f"The request's headers were not complete after {limits.headers_timeout:g} seconds."
    )


def slow_body(limits: HttpLimits) -> Breach:
    """Describe a body that trickles or has stopped."""
    return Breach(
        408,
        f"The request's body came too slowly: after {limits.body_timeout:g} seconds this server "
        f"expects {LEAST_BYTES_PER_SECOND} bytes a second.",
    )


def many_connections(limits: HttpLimits) -> Breach:
    """Describe a server that has no place for another client."""
    return Breach(
        503, f"All {limits.connections} connections of this server are in use; try again soon."
    )
