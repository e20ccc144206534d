"""
Asking pods over HTTP: routers for their status, servers for why a model does not load.
"""

import json
from typing import Any
from urllib.parse import quote

import aiohttp

from modeldeploy_operator.manifests import names

TIMEOUT = aiohttp.ClientTimeout(total=2)
LIMIT_BYTES = 65_536
METRICS_LIMIT_BYTES = 4_194_304
METADATA_LIMIT_BYTES = 524_288


class Probe:
    """
    Short questions to pods; no answer is None, never an error.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def router_status(self, address: str) -> dict[str, Any] | None:
        """
        Ask a router pod for its status.
        """
        return await self._get(f"http://{_host(address)}:{names.STATUS_PORT}/status")

    async def load_error(self, address: str, model: str, version: str) -> str | None:
        """
        Ask a server why it does not serve a version; None while it may still come up.
        """
        url = f"http://{_host(address)}:{names.REST_PORT}/v1/models/{quote(model)}"
        answer = await self._get(f"{url}/versions/{quote(version)}")
        try:
            state = (answer or {})["model_version_status"][0]
            if state["state"] == "END" and state["status"]["error_code"] != "OK":
                return str(state["status"]["error_message"])
        except (KeyError, IndexError, TypeError):
            return None
        return None

    async def findings(self, address: str) -> dict[str, Any] | None:
        """
        Ask a watcher pod for what it found.
        """
        return await self._get(f"http://{_host(address)}:{names.FINDINGS_PORT}/findings")

    async def metadata(self, address: str, model: str, version: str) -> str | None:
        """
        Ask a server for the signatures of a version; None if it does not tell them as JSON.
        """
        url = f"http://{_host(address)}:{names.REST_PORT}/v1/models/{quote(model)}"
        body = await self._read(f"{url}/versions/{quote(version)}/metadata", METADATA_LIMIT_BYTES)
        answer = None if body is None else _decode(body)
        try:
            return json.dumps(answer) if (answer or {})["metadata"]["signature_def"] else None
        except (KeyError, TypeError):
            return None

    async def control(
        self, address: str, token: str, method: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any] | None]:
        """
        Ask a server's control port for its shadow target, or set it; status 0 is no answer.
        """
        url = f"http://{_host(address)}:{names.CONTROL_PORT}/v1/shadow"
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.request(
                method, url, json=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
            ) as response:
                return response.status, _decode(await _body(response, LIMIT_BYTES) or b"")
        except (TimeoutError, aiohttp.ClientError, OSError):
            return 0, None

    async def model_status(self, address: str, model: str) -> dict[str, Any] | None:
        """
        Ask a server for the states of all versions of a model.
        """
        return await self._get(
            f"http://{_host(address)}:{names.REST_PORT}/v1/models/{quote(model)}"
        )

    async def followed(self, address: str) -> dict[str, Any] | None:
        """
        Ask the follower of a shared pod what came of the list of versions.
        """
        return await self._get(f"http://{_host(address)}:{names.FOLLOW_PORT}/versions")

    async def metrics(self, address: str) -> str:
        """
        Ask a server for its metrics; empty where it has none.
        """
        url = f"http://{_host(address)}:{names.REST_PORT}/monitoring/prometheus/metrics"
        body = await self._read(url, METRICS_LIMIT_BYTES)
        return (body or b"").decode(errors="replace")

    async def _get(self, url: str) -> dict[str, Any] | None:
        body = await self._read(url, LIMIT_BYTES)
        return None if body is None else _decode(body)

    async def _read(self, url: str, limit: int) -> bytes | None:
        try:
            async with self._session.get(url, timeout=TIMEOUT, allow_redirects=False) as response:
                return await _body(response, limit)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """
    Read a whole body, unless it is too long.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _decode(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
