"""
The control port as a raw ASGI application: ``/v1/config`` and ``/v1/shadow``.

Whoever reaches it may change what the server does: it listens on the loopback alone unless it is
told otherwise, asks for a secret where it was given one, and refuses what a browser's page sends.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from modeldeploy_runtime.servables.errors import InvalidArgumentError, ServingError
from modeldeploy_runtime.transports.rest import errors

MAX_BODY_BYTES = 4 * 1024 * 1024

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """A request to one part of the control port; only the methods that the part takes."""

    method: str
    query: bytes
    body: bytes


class Part(Protocol):
    """What lies behind one path."""

    methods: tuple[str, ...]

    async def answer(self, request: Request) -> Mapping[str, Any]:
        """
        Answer with JSON.

        Raises:
            ServingError: The request is refused.
        """


class Guard(Protocol):
    """Tells who may use the port."""

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Look at a request's headers, with names in lower case."""


class ControlApp:
    """Answers every request with JSON, errors included; ``parts`` go by their path."""

    def __init__(self, parts: Mapping[str, Part], guard: Guard | None = None) -> None:
        self._parts = parts
        self._guard = guard

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            status, body = await self._answer(scope, receive)
        except ServingError as error:
            status, body = errors.HTTP_STATUS[error.code], errors.body(error.message)
        except Exception:  # noqa: BLE001 - a client is told, whatever it is
            _log.exception("A request to the control port failed.")
            status, body = 500, errors.body("The server failed; its log says why.")
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Message, receive: Receive) -> tuple[int, bytes]:
        headers = dict(scope["headers"])
        if b"origin" in headers:
            return _refusal(403, "The control port takes nothing from pages in a browser.")
        if self._guard is not None and not self._guard.admits(headers):
            return _refusal(401, "The request must carry the secret of the control port.")
        part = self._parts.get(scope["path"])
        if part is None:
            known = ", ".join(sorted(self._parts))
            return _refusal(404, f"There is nothing at {scope['path']}; try {known}.")
        method = scope["method"]
        if method not in part.methods:
            return _refusal(405, f"{method} is not possible at {scope['path']}.")
        body = b"" if method == "GET" else await _read(receive)
        return 200, _json(await part.answer(Request(method, scope["query_string"], body)))


def _refusal(status: int, sentence: str) -> tuple[int, bytes]:
    return status, errors.body(sentence)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidArgumentError("The client left.")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise InvalidArgumentError(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        if not message.get("more_body", False):
            return bytes(body)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()
