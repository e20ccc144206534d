"""How an error looks over gRPC: the status code, and a message of bounded length."""

import grpc

from modeldeploy_runtime.servables.errors import Code

MAX_MESSAGE = 1024
_BY_NUMBER = {status.value[0]: status for status in grpc.StatusCode}


def status_code(code: Code) -> grpc.StatusCode:
    """Translate a code; the numbers are the same on both sides."""
    return _BY_NUMBER[code.value]


def shorten(message: str) -> str:
    """Cut a message that would not fit into a header."""
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + "...TRUNCATED"
