"""
Cross-origin requests: which headers let a page of another origin call this server: pure.

Preflight requests are answered whether or not that is allowed; only the headers depend on it.
"""

from collections.abc import Mapping

from modeldeploy_runtime.servables.errors import PreconditionError

HEADERS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"Content-Type"),
)


def check_preflight(headers: Mapping[bytes, bytes]) -> None:
    """
    Make sure that a preflight request comes from a page.

    Raises:
        PreconditionError: It says of no origin.
    """
    origin = headers.get(b"origin", b"")
    if b"http://" not in origin and b"https://" not in origin:
        raise PreconditionError("Origin header is missing in CORS preflight")
