"""``/v1/config``: what is served, read and replaced as a whole."""

import asyncio
import time
from typing import Any
from urllib.parse import parse_qs

from google.protobuf import json_format

from modeldeploy_runtime.configuration.reload import ModelResult, Reloader, Standing
from modeldeploy_runtime.inference import describe
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.sources import config_file
from modeldeploy_runtime.transports.control.app import Request

PATH = "/v1/config"
MAX_WAIT_SECONDS = 600.0
_WAIT_SECONDS = 30.0


class Configuration:
    """``GET`` describes it, ``POST`` replaces it."""

    methods: tuple[str, ...] = ("GET", "POST")

    def __init__(self, reloader: Reloader, directory: Directory) -> None:
        self._reloader = reloader
        self._directory = directory

    async def answer(self, request: Request) -> dict[str, Any]:
        """
        Answer with what is served, or with what came of each model.

        Raises:
            ServingError: The configuration is refused.
        """
        if request.method == "GET":
            return self._describe()
        until = time.monotonic() + _wait_seconds(request.query)
        results = await asyncio.to_thread(lambda: self._reloader.apply(read(request.body), until))
        return {"models": {name: _result(results[name]) for name in sorted(results)}}

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


def _standing(standing: Standing) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": standing.outcome.value, "message": standing.message}
    return {**told, "version": standing.version} if standing.version else told


def _result(result: ModelResult) -> dict[str, Any]:
    return {"change": result.change.value, **_standing(result.standing)}
