"""
The REST side as a raw ASGI application.

Everything small runs in the event loop's thread; predictions by models that take longer, and large
bodies, go to a pool of threads, where a request waits at most as long as its client does.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from modeldeploy_runtime.inference.calls import Calls
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.servables import errors as serving_errors
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.telemetry import exposition
from modeldeploy_runtime.telemetry.calls import NO_API, Call
from modeldeploy_runtime.telemetry.observer import Observer
from modeldeploy_runtime.transports import pins
from modeldeploy_runtime.transports.http.limits import Breach
from modeldeploy_runtime.transports.in_flight import InFlight
from modeldeploy_runtime.transports.rest import (
    bodies,
    cors,
    dressing,
    errors,
    handlers,
    queued,
    routes,
    status_page,
)
from modeldeploy_runtime.transports.rest.bodies import Bodies, BodyLimits
from modeldeploy_runtime.transports.rest.handlers import Reply
from modeldeploy_runtime.transports.rest.places import Places
from modeldeploy_runtime.transports.rest.queued import Turns, Waiting
from modeldeploy_runtime.transports.rest.routes import Kind, Refusal, Route

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Parsing more than this holds up the other requests noticeably.
SMALL_BODY = 16 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RestOptions:
    """
    What a person may decide about REST.

    ``timeout`` is in seconds, and 0 means to wait for ever; no ``metrics_path`` means
    no metrics, and no ``status_page`` that nothing is at ``/``.
    """

    timeout: float = 30.0
    cors: bool = False
    # Smaller answers are never compressed; 0 means that none is.
    gzip_from: int = 16 * 1024
    metrics_path: str = routes.METRICS_PATH
    status_page: bool = True
    # How many predictions are computed or wait for a thread.
    places: int = 64
    bodies: BodyLimits = field(default_factory=BodyLimits)


class RestApp:
    """Answers every request with JSON, errors included."""

    def __init__(
        self,
        directory: Directory,
        calls: Calls,
        readiness: Readiness,
        observer: Observer,
        executor: Executor,
        options: RestOptions,
    ) -> None:
        self._directory = directory
        self._calls = calls
        self._readiness = readiness
        self._observer = observer
        self._options = options
        self._status_page = Reply(404, errors.body("There is nothing at /."))
        if options.status_page:
            self._status_page = status_page.reply(options.metrics_path)
        self._bodies = Bodies(options.bodies)
        self._places = Places(executor, options.places)
        self._turns = Turns()
        self.in_flight = InFlight()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self.in_flight:
            try:
                await self._handle(scope, receive, send)
            except asyncio.CancelledError:
                # Only a shutdown that waits no longer cancels requests.
                self.in_flight.cut += 1
                body = errors.body("The server has shut down before it could answer.")
                await self._send(Reply(503, body), send)

    def refused(self, breach: Breach) -> bytes:
        """Count a request that is refused before it comes here, and write the answer's body."""
        code = errors.REFUSAL_CODES[breach.status].name
        self._observer.answered(Call("REST", NO_API), code, 0.0)
        return errors.body(breach.message)

    async def _handle(self, scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        path = scope["raw_path"].decode("ascii", "replace")
        route = routes.parse(scope["method"], path, self._options.metrics_path)
        if isinstance(route, Refusal):
            call = Call("REST", NO_API)
            reply, code = _refuse(route)
        else:
            call = Call("REST", route.kind.value)
            if self._directory.knows(route.selector.name):
                call.model = route.selector.name
            if self._observer.wants_details:
                call.headers = _headers(scope)
            reply, code = await self._answer(route, scope, receive, call)
        reply = await dressing.dress(
            reply,
            scope,
            call.version,
            with_cors=self._options.cors,
            gzip_from=self._options.gzip_from,
        )
        await self._send(reply, send)
        if self._observer.wants_details:
            call.peer = _peer(scope)
            call.response_bytes = len(reply.body)
        if call.api not in _UNCOUNTED:
            self._observer.answered(call, code, time.perf_counter() - started)

    async def _answer(
        self, route: Route, scope: Message, receive: Receive, call: Call
    ) -> tuple[Reply, str]:
        """Answer what was understood; errors become replies here and nowhere else."""
        try:
            return await self._dispatch(route, scope, receive, call), "OK"
        except bodies.TooLargeError as error:
            return _refuse(Refusal(413, str(error)))
        except serving_errors.ServingError as error:
            status = errors.HTTP_STATUS[error.code]
            reply = Reply(status, errors.body(error.message), headers=errors.headers(error.code))
            return reply, error.code.name
        except Exception:  # noqa: BLE001 - a client is told, whatever it is
            _log.exception("A %s request failed.", route.kind.value)
            return Reply(500, errors.body("The server failed; its log says why.")), "INTERNAL"

    async def _dispatch(self, route: Route, scope: Message, receive: Receive, call: Call) -> Reply:
        if route.kind in _BEGIN:
            with self._bodies.place() as place:
                body = await place.read(scope, receive)
                if bodies.is_compressed(scope):
                    body = await self._decompress(body)
                    place.take(len(body))
                call.request_bytes = len(body)
                return await self._infer(route, scope, body, call)
        if route.kind is Kind.PREFLIGHT:
            cors.check_preflight(dict(scope["headers"]))
            return Reply(200, b"")
        if route.kind is Kind.STATUS_PAGE:
            return self._status_page
        return self._describe(route, scope, call)

    def _describe(self, route: Route, scope: Message, call: Call) -> Reply:
        """Answer what is no inference."""
        match route.kind:
            case Kind.STATUS:
                query = scope["query_string"]
                return handlers.status(self._directory, _pinned(route, scope), query, call)
            case Kind.METADATA:
                return handlers.metadata(self._directory, _pinned(route, scope), call)
            case Kind.MODELS:
                return handlers.models(self._directory)
            case Kind.READYZ:
                return handlers.readyz(self._readiness)
            case Kind.HEALTHZ:
                return handlers.healthz()
            case _:
                wanted = handlers.wanted_metrics(scope["query_string"])
                return Reply(200, self._observer.expose(wanted), exposition.CONTENT_TYPE)

    async def _infer(self, route: Route, scope: Message, body: bytes, call: Call) -> Reply:
        timeout = self._options.timeout or None
        deadline = None if timeout is None else time.monotonic() + timeout
        begin, selector = _BEGIN[route.kind], _pinned(route, scope)
        if len(body) > SMALL_BODY:
            work = functools.partial(begin, self._calls, selector, body, call)
            answer = await self._places.run(lambda: queued.proceed(work(), deadline), deadline)
            return answer if isinstance(answer, Reply) else await self._wait(answer, deadline)
        begun = begin(self._calls, selector, body, call)
        if begun.pending.is_cheap:
            return begun.finish(deadline)
        waiting = queued.start(begun, deadline)
        if waiting is not None:
            self._turns.help_soon(waiting.started.queue)
            return await self._wait(waiting, deadline)
        if self._places.are_full:
            begun.pending.abandon()
        return await self._places.run(lambda: begun.finish(deadline), deadline)

    async def _wait(self, waiting: Waiting, deadline: float | None) -> Reply:
        """Wait for an inference that is in a queue, and write its result."""
        await self._turns.wait(waiting, deadline)
        if waiting.is_small:
            return waiting.reply()
        return await self._places.run(waiting.reply, deadline)

    async def _decompress(self, body: bytes) -> bytes:
        limit = self._options.bodies.decompressed
        return await asyncio.to_thread(bodies.decompress, body, limit)

    async def _send(self, reply: Reply, send: Send) -> None:
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(reply.body)),
            *reply.headers,
        ]
        if self._readiness.draining:
            # Asks clients to leave, so that no connection is idle when the listener closes.
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})


_BEGIN = {
    Kind.PREDICT: handlers.predict,
    Kind.CLASSIFY: handlers.classify,
    Kind.REGRESS: handlers.regress,
}
_UNCOUNTED = frozenset(
    kind.value for kind in (Kind.READYZ, Kind.HEALTHZ, Kind.METRICS, Kind.STATUS_PAGE)
)


def _peer(scope: Message) -> str:
    """Write who asks as ``ADDRESS:PORT``, clients of IPv4 as such; a socket's have no name."""
    # An address of IPv6 has four parts.
    host, port = (scope.get("client") or ("", 0))[:2]
    host = host.removeprefix("::ffff:")
    if not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _refuse(refusal: Refusal) -> tuple[Reply, str]:
    headers: list[tuple[bytes, bytes]] = []
    if refusal.allow:
        headers.append((b"allow", refusal.allow.encode()))
    if refusal.status == 413:
        headers.append((b"connection", b"close"))
    reply = Reply(refusal.status, errors.body(refusal.message), headers=tuple(headers))
    return reply, errors.REFUSAL_CODES[refusal.status].name


def _pinned(route: Route, scope: Message) -> Selector:
    """Join what the path names with what the headers ask for."""
    return pins.choose(route.selector, pins.among(scope["headers"]))
