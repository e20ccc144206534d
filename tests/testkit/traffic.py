"""
Clients of a deployed model: they count which version answered, and everything that failed.

Each REST client keeps one connection and each gRPC client one channel, as long-lived programs do;
none of them ever tries a request again.
"""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

import grpc

from modeldeploy_runtime.protos import messages
from testkit.cluster import until
from testkit.load import PREDICT, GrpcClient, RestClient

BODY = b'{"instances": [0.0]}'


@dataclass(slots=True)
class Seen:
    """
    What the clients saw: answers by protocol and version, and failures with their time.
    """

    versions: dict[str, Counter[str]] = field(
        default_factory=lambda: {"rest": Counter(), "grpc": Counter()}
    )
    failures: list[str] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)

    def total(self, protocol: str) -> int:
        """
        Count the answers over one protocol.
        """
        return self.versions[protocol].total()

    def answered(self, protocol: str, version: str) -> None:
        """
        Count one answer, and remember when each version answered last.
        """
        self.versions[protocol][version] += 1
        self.last[version] = time.monotonic()

    def failed(self, protocol: str, what: str) -> None:
        """
        Note one failure and its time.
        """
        self.failed_at.append(time.monotonic())
        self.failures.append(f"{time.strftime('%H:%M:%S')} {protocol} {what[:300]}")


class Rest:
    """
    One REST client of one model.
    """

    protocol = "rest"

    def __init__(
        self, host: str, model: str, port: int = 8501, trusted: str = "", **headers: str
    ) -> None:
        context = ssl.create_default_context(cadata=trusted) if trusted else None
        self._client = RestClient(host, port, context)
        self._headers = headers
        self._path = f"/v1/models/{model}:predict"

    async def predict(self, seen: Seen) -> None:
        """
        Send one request and count what came of it.
        """
        try:
            status, headers, body = await asyncio.wait_for(
                self._client.send("POST", self._path, BODY, **self._headers), 30
            )
        except (OSError, EOFError, TimeoutError) as error:
            self._client.close()
            seen.failed(self.protocol, repr(error))
            return
        if status == 200:
            seen.answered(self.protocol, headers["x-model-version"])
        else:
            seen.failed(self.protocol, f"{status} {body.decode(errors='replace')}")

    async def aclose(self) -> None:
        """
        Close the connection.
        """
        self._client.close()


class Grpc:
    """
    One gRPC client of one model, on one connection.
    """

    protocol = "grpc"

    def __init__(
        self, host: str, model: str, port: int = 8500, trusted: str = "", **metadata: str
    ) -> None:
        self._client = GrpcClient(host, port, trusted.encode())
        self._metadata = metadata
        request = messages.PredictRequest()
        request.model_spec.name = model
        request.inputs["x"].dtype = 1
        request.inputs["x"].tensor_shape.dim.add().size = 1
        request.inputs["x"].float_val.append(0.0)
        self._body = request.SerializeToString()

    async def predict(self, seen: Seen) -> None:
        """
        Send one request and count what came of it.
        """
        try:
            body = await self._client.call(PREDICT, self._body, **self._metadata)
        except grpc.aio.AioRpcError as error:
            seen.failed(self.protocol, f"{error.code().name} {error.details()}")
            return
        answer = messages.PredictResponse.FromString(body)
        seen.answered(self.protocol, str(answer.model_spec.version.value))

    async def aclose(self) -> None:
        """
        Close the channel.
        """
        await self._client.aclose()


Client = Rest | Grpc


async def send_many(clients: list[Client], count: int, at_once: int = 4) -> Seen:
    """
    Send `count` requests over these clients as fast as they go, and return what was seen.
    """
    seen = Seen()
    left = iter(range(count))

    async def work(predict: Callable[[Seen], Awaitable[None]]) -> None:
        for _ in left:
            await predict(seen)

    # A REST connection carries one request at a time, a gRPC channel many.
    streams = {Rest.protocol: 1, Grpc.protocol: max(1, at_once // len(clients))}
    await asyncio.gather(*(work(c.predict) for c in clients for _ in range(streams[c.protocol])))
    for client in clients:
        await client.aclose()
    return seen


class Traffic:
    """
    A steady trickle from several clients, from `async with` until its end.

    They are encrypted where `trusted` says, as PEM, who signed the certificate of `localhost`.
    """

    def __init__(
        self,
        host: str,
        model: str,
        *,
        pause: float = 0.04,
        ports: tuple[int, int] = (8501, 8500),
        trusted: str = "",
        **headers: str,
    ) -> None:
        self.seen = Seen()
        rest, grpc = ports
        self._clients: list[Client] = [
            Rest(host, model, rest, trusted, **headers) for _ in range(4)
        ]
        self._clients += [Grpc(host, model, grpc, trusted, **headers) for _ in range(2)]
        self._pause = pause
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def most_in_flight(self) -> int:
        """
        Return how many requests can be in flight at once: one of each client.
        """
        return len(self._clients)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._work(client)) for client in self._clients]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)
        for client in self._clients:
            await client.aclose()

    async def answered(self, more: int = 150) -> None:
        """
        Wait until so many more REST requests were answered.
        """
        goal = self.seen.total("rest") + more

        async def enough() -> bool:
            return self.seen.total("rest") >= goal

        await until(f"{more} more answers", enough, 60)

    async def _work(self, client: Client) -> None:
        while not self._stopped:
            await client.predict(self.seen)
            await asyncio.sleep(self._pause)
