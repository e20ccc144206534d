"""
The errors that the router itself makes, in TensorFlow Serving's shapes.

Over REST they are JSON, over gRPC a status.

HAProxy reads them as files, one for each status and protocol, when it starts.
"""

import json
from dataclasses import dataclass
from urllib.parse import quote

NOT_GRPC_FILE = "not-grpc.json"
UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class RouterError:
    """
    One error: its HTTP status, its canonical gRPC code, and what is wrong and what to do.
    """

    status: int
    code: int
    message: str


def router_errors(name: str) -> tuple[RouterError, ...]:
    """
    Return every error that the router of the ModelDeployment `name` can make.
    """
    look = f"`kubectl describe mdep {name}` says why"
    return (
        RouterError(400, 13, "The router could not read the request: its HTTP is not valid."),
        RouterError(
            401,
            16,
            "The request shows no token that is known here. Send the header"
            f" `authorization: Bearer TOKEN` with a token of {name}.",
        ),
        RouterError(
            403,
            7,
            "HandleReloadConfigRequest is refused: the ModelDeployment says what is served."
            f" Change spec.model of {name} instead.",
        ),
        RouterError(
            404,
            12,
            "Only paths below /v1/ are served here. The router's readiness and metrics are"
            " on port 8502, a model server's on its own pod.",
        ),
        RouterError(408, 4, "The request did not arrive in time. Send it again."),
        RouterError(413, 8, "The request's headers are larger than the router's buffer."),
        RouterError(429, 14, "The router has too many requests in flight. Send it again later."),
        RouterError(500, 13, "The router failed. Its log says why."),
        RouterError(501, 12, "The router does not support this request."),
        RouterError(502, 14, "The model server broke off before it had answered. Send it again."),
        RouterError(
            503, 14, f"No server of {name} can answer now; {look}. Send the request again later."
        ),
        RouterError(504, 4, "The model server did not answer in time."),
    )


def rest_file(error: RouterError) -> bytes:
    """
    Render an error as a whole HTTP response with TensorFlow Serving's JSON body.
    """
    body = _json(error.message)
    challenge = "www-authenticate: Bearer\r\n" if error.status == UNAUTHORIZED else ""
    head = (
        f"HTTP/1.1 {error.status} {_reason(error.status)}\r\n{challenge}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def grpc_file(error: RouterError) -> bytes:
    """
    Render an error as gRPC's "trailers-only" response: HTTP 200, the status in the headers.
    """
    message = quote(error.message, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~")
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n"
        f"grpc-status: {error.code}\r\ngrpc-message: {message}\r\ncontent-length: 0\r\n\r\n"
    )
    return head.encode()


def error_files(name: str) -> dict[str, bytes]:
    """
    Return the contents of all files that HAProxy reads, by name, such as `rest-503.http`.
    """
    files = {NOT_GRPC_FILE: _json("This port speaks gRPC only; REST is on port 8501.")}
    for error in router_errors(name):
        files[f"rest-{error.status}.http"] = rest_file(error)
        files[f"grpc-{error.status}.http"] = grpc_file(error)
    return files


def _json(message: str) -> bytes:
    return json.dumps({"error": message}, indent=4).encode()


def _reason(status: int) -> str:
    # Clients read the number; the words are for people who look at the wire.
    return "Error made by the router" if status >= 500 else "Refused by the router"
