"""
The control port as a raw ASGI application: ``GET`` and ``POST /v1/config``.

Whoever reaches it may replace the models; it listens on the loopback alone unless it is told
otherwise, and refuses what a page in a browser sends.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from google.protobuf import json_format

from modeldeploy_runtime.configuration.reload import ModelResult, Reloader, Standing
from modeldeploy_runtime.inference import describe
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import InvalidArgumentError, ServingError
from modeldeploy_runtime.sources import config_file
from modeldeploy_runtime.transports.rest import errors

PATH = "/v1/config"
MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_WAIT_SECONDS = 600.0
_WAIT_SECONDS = 30.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)


class ControlApp:
    """Answers every request with JSON, errors included."""

    def __init__(self, reloader: Reloader, directory: Directory) -> None:
        self._reloader = reloader
        self._directory = directory

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
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Message, receive: Receive) -> tuple[int, bytes]:
        if any(name == b"origin" for name, _ in scope["headers"]):
            return _refusal(403, "The control port takes nothing from pages in a browser.")
        if scope["path"] != PATH:
            return _refusal(404, f"There is nothing at {scope['path']}; try {PATH}.")
        if scope["method"] == "GET":
            return 200, _json(self._describe())
        if scope["method"] != "POST":
            return _refusal(405, f"{scope['method']} is not possible at {PATH}.")
        body = await _read(receive)
        until = time.monotonic() + _wait_seconds(scope["query_string"])
        results = await asyncio.to_thread(lambda: self._reloader.apply(read(body), until))
        return 200, _json({"models": {name: _result(results[name]) for name in sorted(results)}})

    def _describe(self) -> dict[str, Any]:
        models = self._reloader.models
        config = config_file.to_message(models.values())
        return {
            "config": json_format.MessageToDict(config, preserving_proto_field_name=True),
            "models": {name: self._model(name) for name in sorted(models)},
        }

    def _model(self, name: str) -> dict[str, Any]:
        known = self._directory.versions(name)
        versions = [
            {
                "version": status.text,
                "state": status.state.value,
                "error": str(status.error or ""),
            }
            for status in known
        ]
        standing = _standing(self._reloader.standing(name))
        labels = describe.by_label(self._directory.labels(name), known)
        return {**standing, "versions": versions, "labels": labels}


def read(body: bytes) -> list[Any]:
    """
    Read a whole configuration, as JSON or as text.

    Raises:
        ServingError: It is neither, or is refused.
    """
    try:
        text = body.decode()
        if text.lstrip().startswith("{"):
            config = json_format.Parse(text, messages.ModelServerConfig())
        else:
            config = config_file.message(text, "the request's body")
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"The body is no ModelServerConfig: {error}") from error
    if config_file.is_empty(config):
        raise InvalidArgumentError(
            "The body holds no model_config_list; an empty one, model_config_list {}, "
            "stands for no models."
        )
    return config_file.models(config)


def _refusal(status: int, sentence: str) -> tuple[int, bytes]:
    return status, errors.body(sentence)


def _wait_seconds(query: bytes) -> float:
    [text] = parse_qs(query.decode("ascii", "replace")).get("wait", [str(_WAIT_SECONDS)])[-1:]
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise InvalidArgumentError(
            f'wait must be seconds between 0 and {MAX_WAIT_SECONDS:g}, not "{text}".'
        )
    return seconds


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


def _standing(standing: Standing) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": standing.outcome.value, "message": standing.message}
    return {**told, "version": standing.version} if standing.version else told


def _result(result: ModelResult) -> dict[str, Any]:
    return {"change": result.change.value, **_standing(result.standing)}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()
