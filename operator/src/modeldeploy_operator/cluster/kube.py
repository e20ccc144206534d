"""
The Kubernetes client, through which every request goes.

It uses the official client's transport and credentials, and plain dicts instead of its models:
objects pass through unchanged, fields that the models do not know included.
"""

import json
import os
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from modeldeploy_operator.cluster.port import (
    OPENED,
    ClusterError,
    ConflictError,
    ExpiredError,
    GoneError,
    Manifest,
    RefusedError,
)
from modeldeploy_operator.manifests.names import FIELD_MANAGER

Serialized = tuple[str, str, dict[str, str], Any, list[str]]
"""Method, URL, headers, body and form of a request, as the client wants them."""

TIMEOUT_SECONDS = 15
HTTP_ERROR, HTTP_NOT_FOUND, HTTP_CONFLICT, HTTP_EXPIRED = 400, 404, 409, 410
HTTP_REFUSED = frozenset({400, 403, 413, 422})


async def connect() -> client.ApiClient:
    """
    Build a client from the pod's service account, or from the kubeconfig outside a cluster.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        # The library reads KUBECONFIG when it is imported, which may be too early.
        path = os.environ.get("KUBECONFIG")
        await config.load_kube_config(path, client_configuration=configuration)
    return client.ApiClient(configuration)


class KubeClient:
    """
    Requests to the API server; safe to share between the tasks of one event loop.
    """

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self._heard = time.monotonic()

    def age(self) -> float:
        """
        Tell how many seconds ago the API server last answered anything.
        """
        return time.monotonic() - self._heard

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self._api.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        Read one object or a list.

        Raises:
            GoneError: It is not there.
            ClusterError: The API server refused or could not be reached.

        """
        return await self._request("GET", path, query=query)

    async def apply(self, path: str, manifest: Manifest) -> Manifest:
        """
        Apply on the server's side, as our field manager, taking over conflicting fields.

        Raises:
            ClusterError: The API server refused or could not be reached.

        """
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        return await self._request("PATCH", path, query=query, body=manifest, headers=headers)

    async def send(self, method: str, path: str, body: Manifest) -> Manifest:
        """
        Create, replace, or delete.

        Raises:
            ConflictError: The object was written in between, or exists already.
            GoneError: It is not there.
            ClusterError: The API server refused or could not be reached.

        """
        query = {} if method == "DELETE" else {"fieldManager": FIELD_MANAGER}
        return await self._request(method, path, query=query, body=body)

    async def watch(
        self, path: str, query: Mapping[str, str], silence: float
    ) -> AsyncGenerator[Manifest, None]:
        """
        Follow the changes of a list, as events; ends when the API server does, or falls silent.

        The first event, of type `OPENED`, says that the API server goes on from that version.

        Raises:
            ExpiredError: The version to go on from is too old.
            ClusterError: It refused, could not be reached, or broke off.

        """
        timeout = aiohttp.ClientTimeout(sock_connect=TIMEOUT_SECONDS, sock_read=silence)
        request = await self._prepare("GET", path, query=query)
        rest, opened = b"", False
        try:
            response = await self._api.call_api(*request, _request_timeout=timeout)
            try:
                if response.status >= HTTP_ERROR:
                    _answer("GET", path, response.status, await response.read())
                self._answered()
                opened = True
                yield {"type": OPENED}
                async for chunk in response.response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield json.loads(line)
            finally:
                response.response.close()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            if opened and isinstance(error, TimeoutError):
                return
            raise ClusterError(
                f"The API server did not answer a watch of {path}: {type(error).__name__} {error}."
            ) from error

    async def _prepare(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Serialized:
        return await self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params={
                "Accept": "application/json",
                "Content-Type": "application/json",
                **(headers or {}),
            },
            body=body,
            auth_settings=["BearerToken"],
        )

    def _answered(self) -> None:
        self._heard = time.monotonic()

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Manifest:
        request = await self._prepare(method, path, query=query, body=body, headers=headers)
        try:
            response = await self._api.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            text = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ClusterError(
                f"The API server did not answer {method} {path}: {type(error).__name__} {error}."
            ) from error
        self._answered()
        return _answer(method, path, response.status, text)


def _answer(method: str, path: str, status: int, text: bytes) -> Manifest:
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError:
        answer = {"message": text[:200].decode(errors="replace")}
    if status < HTTP_ERROR:
        return answer
    sentence = f"The API server refused {method} {path}: {answer.get('message', status)}"
    if status == HTTP_NOT_FOUND:
        raise GoneError(sentence)
    if status == HTTP_CONFLICT:
        raise ConflictError(sentence)
    if status == HTTP_EXPIRED:
        raise ExpiredError(sentence)
    if status in HTTP_REFUSED:
        raise RefusedError(sentence)
    raise ClusterError(sentence)
