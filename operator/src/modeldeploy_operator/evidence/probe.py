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

    async def _get(self, url: str) -> dict[str, Any] | None:
        try:
            async with self._session.get(url, timeout=TIMEOUT, allow_redirects=False) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > LIMIT_BYTES:
                        return None
                answer = _decode(bytes(body))
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None
        return answer


def _decode(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
