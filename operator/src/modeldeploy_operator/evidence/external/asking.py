"""
Asking a URL that a user wrote: only allowed ones, at checked addresses, and not for long.
"""

import socket
from collections.abc import Callable, Mapping, Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from modeldeploy_operator.evidence.external import addresses
from modeldeploy_operator.evidence.external.addresses import Address

ANSWER_BYTES = 1_000_000
SECONDS = 10.0
OK, REDIRECTS = 200, range(300, 400)
_TOLD = 200

Forbids = Callable[[Address], str]


class AskError(Exception):
    """
    Nothing was measured, and why.
    """


class _CheckedResolver(AbstractResolver):
    """
    Resolves a name once, and gives out only addresses that may be asked.

    The connection goes to one of these addresses, so that a name that resolves otherwise a moment
    later changes nothing.
    """

    def __init__(self, forbids: Forbids) -> None:
        self._names = aiohttp.ThreadedResolver()
        self._forbids = forbids

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """
        Resolve a name; one forbidden address among several forbids them all.
        """
        found = await self._names.resolve(host, port, family)
        for result in found:
            address = addresses.literal(result["host"])
            why = self._forbids(address) if address else f"{result['host']} is no address"
            if why:
                raise OSError(f"{host} may not be asked: {why}")
        return found

    async def close(self) -> None:
        """
        Let the resolver go.
        """
        await self._names.close()


class Asker:
    """
    Sends GET requests on behalf of users; for one event loop.
    """

    def __init__(
        self,
        allowed: Sequence[str],
        *,
        forbids: Forbids = addresses.why_forbidden,
        seconds: float = SECONDS,
    ) -> None:
        self._allowed = allowed
        self._forbids = forbids
        # Nothing is kept from one request to the next: no cookies, no connections.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_CheckedResolver(forbids), use_dns_cache=False, force_close=True, limit=32
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=seconds),
            auto_decompress=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        self._seconds = seconds

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self._session.close()

    async def ask(self, url: URL, headers: Mapping[str, str]) -> bytes:
        """
        Ask a URL for its document.

        Raises:
            AskError: It may not be asked, or gave none.

        """
        why = addresses.why_not(url, self._allowed)
        literal = addresses.literal(url.host or "")
        if not why and literal:
            why = self._forbids(literal)
        if why:
            raise AskError(f"The URL may not be asked: {why}.")
        where = url.origin()
        try:
            return await self._get(url, headers)
        except TimeoutError as error:
            raise AskError(f"{where} did not answer within {self._seconds:g} s.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            cause = getattr(error, "os_error", None) or error
            raise AskError(f"{where} could not be asked: {cause}.") from error

    async def _get(self, url: URL, headers: Mapping[str, str]) -> bytes:
        body = bytearray()
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            if response.status in REDIRECTS:
                raise AskError(
                    f"{url.origin()} answered with a redirect ({response.status}), and redirects "
                    "are not followed."
                )
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    raise AskError(f"{url.origin()} answered with more than 1 MB.")
            if response.status != OK:
                told = " ".join(body[:_TOLD].decode(errors="replace").split())
                raise AskError(f"{url.origin()} answered {response.status}: {told}")
        return bytes(body)
