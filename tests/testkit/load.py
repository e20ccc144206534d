"""
Load for the router's tests: keep-alive REST clients and long-lived gRPC channels that count.

A client does what a well-behaved client does: it opens a new connection when it was told that the
old one is closing, and it never tries a request again.
"""

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import grpc

PREDICT = "/tensorflow.serving.PredictionService/Predict"
PATH = "/v1/models/mnist:predict"
MORE_SECONDS = 60.0


@dataclass(slots=True)
class Tally:
    """
    What clients saw: answers by version and by address, and failures by what they were.
    """

    versions: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """
        Return how many requests were answered.
        """
        return self.versions.total()

    def answered(self, body: bytes) -> None:
        """
        Count one answer.
        """
        answer = json.loads(body)
        self.versions[answer["version"]] += 1
        self.addresses[answer["address"]] += 1


class RestClient:
    """
    One HTTP/1.1 client with one keep-alive connection.
    """

    def __init__(self, host: str, port: int = 8501, trusted: ssl.SSLContext | None = None) -> None:
        self._place = (host, port)
        self._trusted = trusted
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """
        Send one request and return status, headers and body.
        """
        if not self.is_open:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                *self._place,
                limit=1 << 20,
                ssl=self._trusted,
                server_hostname="localhost" if self._trusted else None,
            )
        reader, writer = self._streams
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        writer.write((head + "".join(lines) + "\r\n").encode() + body)
        await writer.drain()
        status_line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        got = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest if line)}
        content = await reader.readexactly(int(got.get("content-length", "0")))
        if got.get("connection") == "close":
            self.close()
        return int(status_line.split()[1]), got, content

    @property
    def is_open(self) -> bool:
        """
        Return whether the next request goes over a connection that was used before.
        """
        return self._streams is not None and not self._streams[0].at_eof()

    async def predict(self, tally: Tally, body: bytes = b"{}") -> None:
        """
        Send one predict and count what came of it.
        """
        try:
            status, _, content = await self.send("POST", PATH, body)
        except (OSError, EOFError) as error:
            self.close()
            tally.failures[repr(error)] += 1
            return
        if status == 200:
            tally.answered(content)
        else:
            tally.failures[f"{status} {content.decode()}"] += 1

    def close(self) -> None:
        """
        Close the connection.
        """
        if self._streams is not None:
            transport = self._streams[1].transport
            # A goodbye over TLS would outlive the test.
            (transport.abort if self._trusted else transport.close)()
            self._streams = None

    async def aclose(self) -> None:
        """
        Close the connection, in the same words as a gRPC client.
        """
        self.close()


class GrpcClient:
    """
    One gRPC channel, which is one connection.
    """

    def __init__(self, host: str, port: int = 8500, trusted: bytes = b"") -> None:
        options: list[tuple[str, int | str]] = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_retries", 0),
            # Without it a client asks on a connection to a lost node for a quarter of an hour.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 5_000),
        ]
        place = f"{host}:{port}"
        if trusted:
            options += [("grpc.ssl_target_name_override", "localhost")]
            credentials = grpc.ssl_channel_credentials(trusted)
            self._channel = grpc.aio.secure_channel(place, credentials, options=options)
        else:
            self._channel = grpc.aio.insecure_channel(place, options=options)

    async def call(self, method: str, body: bytes = b"", **metadata: str) -> bytes:
        """
        Call a method.
        """
        pairs = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        answer: bytes = await self._channel.unary_unary(method)(body, timeout=30, metadata=pairs)
        return answer

    async def predict(self, tally: Tally, body: bytes = b"") -> None:
        """
        Send one predict and count what came of it.
        """
        try:
            tally.answered(await self.call(PREDICT, body))
        except grpc.aio.AioRpcError as error:
            tally.failures[f"{error.code().name} {error.details()}"] += 1

    async def aclose(self) -> None:
        """
        Close the channel.
        """
        await self._channel.close()


async def send_many(predict: Callable[[Tally], Awaitable[Any]], count: int, at_once: int) -> Tally:
    """
    Send `count` requests, `at_once` of them in flight, and return what was seen.
    """
    tally = Tally()
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await predict(tally)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return tally


class Load:
    """
    Requests from several REST and gRPC clients, from `async with` until its end.
    """

    def __init__(self, host: str, *, rest: int = 4, rpc: int = 2, pause: float = 0.002) -> None:
        self.tally = Tally()
        self._rest = [RestClient(host) for _ in range(rest)]
        self._rpc = [GrpcClient(host) for _ in range(rpc)]
        self._pause = pause
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work(c.predict)) for c in self._rest]
        self._tasks += [asyncio.create_task(self._work(c.predict)) for c in self._rpc]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)
        for rest in self._rest:
            rest.close()
        for rpc in self._rpc:
            await rpc.aclose()

    async def more(self, answers: int, version: str | None = None) -> None:
        """
        Wait for so many further answers, of one version or of any.
        """
        counts = self.tally.versions
        enough = answers + (counts.total() if version is None else counts[version])
        await self._until(
            lambda: enough <= (counts.total() if version is None else counts[version])
        )

    async def reaches(self, address: str) -> None:
        """
        Wait for another answer from one address.
        """
        before = self.tally.addresses[address]
        await self._until(lambda: self.tally.addresses[address] > before)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(MORE_SECONDS):
            while not holds():  # noqa: ASYNC110 - a plain counter tells nobody
                await asyncio.sleep(0.002)

    async def _work(self, predict: Callable[[Tally], Awaitable[None]]) -> None:
        while not self._stopped:
            await predict(self.tally)
            await asyncio.sleep(self._pause)
