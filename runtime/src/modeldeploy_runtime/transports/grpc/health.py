"""
grpc.health.v1: whether the server, a service or a model serves.

The empty name is the server, which serves when it is ready; so are the services that predict.
Status can always be asked for, and so ModelService serves until the server shuts down.  A model
serves when one of its versions is available.  TensorFlow Serving knows the services by their short
names and ties none of them to models.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc

from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.transports.grpc import admission

SERVICE = "grpc.health.v1.Health"
MODEL_SERVICE = "ModelService"

# How often the statuses that somebody watches are looked at, in seconds: what lasts shorter may
# not be told, as the protocol allows.
_LOOK_SECONDS = 0.1
_MOST_WATCHERS = 1000

_SERVING = messages.HealthCheckResponse.SERVING
_NOT_SERVING = messages.HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN = messages.HealthCheckResponse.SERVICE_UNKNOWN

_log = logging.getLogger(__name__)


def status_of(readiness: Readiness, services: Iterable[str], name: str) -> int | None:
    """Find the status of a name; nothing is known of ``None``."""
    short = name.rpartition(".")[2]
    known = {service for full in services for service in (full, full.rpartition(".")[2])}
    if readiness.draining:
        return _NOT_SERVING if name in {"", *known, *readiness.directory.names} else None
    if name in known and short == MODEL_SERVICE:
        return int(_SERVING)
    if not name or name in known:
        return int(_NOT_SERVING if readiness.reasons() else _SERVING)
    if name in readiness.directory.names:
        return int(_SERVING if readiness.directory.is_available(name) else _NOT_SERVING)
    return None


@dataclass(slots=True, eq=False)
class _Watcher:
    """A client that waits for changes; ``send(None)`` ends its stream."""

    name: str
    send: Callable[[Any], None]
    context: grpc.ServicerContext
    last: int | None = None


class Health:
    """Threads may call every method at any time."""

    def __init__(self, readiness: Readiness, services: Iterable[str]) -> None:
        self._readiness = readiness
        self._services = tuple(services)
        self._watchers: set[_Watcher] = set()
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._is_closed = False
        # Never the pool of the predictions: a busy server is a healthy one.
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="health")
        threading.Thread(target=self._look, name="health-watch", daemon=True).start()

    def handler(self) -> grpc.GenericRpcHandler:
        """Offer the service."""
        parse = messages.HealthCheckRequest.FromString

        def check(data: bytes, context: grpc.ServicerContext) -> Any:
            return self._check(admission.parsed(parse, data, context), context)

        def watch(
            data: bytes, context: grpc.ServicerContext, send_response_callback: Any = None
        ) -> None:
            request = admission.parsed(parse, data, context)
            self._watch(request, context, send_response_callback)

        def everything(_data: bytes, _context: grpc.ServicerContext) -> Any:
            return self._list()

        behaviors: tuple[Any, ...] = (check, watch, everything)
        for behavior in behaviors:
            behavior.experimental_thread_pool = self._pool
            behavior.experimental_non_blocking = behavior is watch
        one = {"response_serializer": messages.HealthCheckResponse.SerializeToString}
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(check, **one),
                "Watch": grpc.unary_stream_rpc_method_handler(watch, **one),
                "List": grpc.unary_unary_rpc_method_handler(
                    everything,
                    response_serializer=messages.HealthListResponse.SerializeToString,
                ),
            },
        )

    def close(self) -> None:
        """End all streams, for which a server that stops would wait."""
        with self._lock:
            self._is_closed = True
        self._changed.set()

    def _status(self, name: str) -> int | None:
        return status_of(self._readiness, self._services, name)

    def _check(self, message: Any, context: grpc.ServicerContext) -> Any:
        status = self._status(message.service)
        if status is None:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"There is no service or model {message.service}."
            )
        return messages.HealthCheckResponse(status=status)

    def _list(self) -> Any:
        response = messages.HealthListResponse()
        for name in ("", *self._services, *self._readiness.directory.names):
            response.statuses[name].status = self._status(name)
        return response

    def _watch(self, message: Any, context: grpc.ServicerContext, send: Any) -> None:
        watcher = _Watcher(message.service, send, context)
        with self._lock:
            if len(self._watchers) >= _MOST_WATCHERS or self._is_closed:
                send(None)
                return
            self._watchers.add(watcher)
        if not context.add_callback(lambda: self._forget(watcher)):
            # The client has left already, and nobody would call.
            self._forget(watcher)
        self._changed.set()

    def _forget(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)

    def _look(self) -> None:
        """Tell every watcher what is new, for ever."""
        while not self._is_closed:
            self._changed.wait(_LOOK_SECONDS if self._watchers else None)
            self._changed.clear()
            try:
                self._tell()
            except Exception:  # noqa: BLE001 - the next look must come, whatever this one met
                _log.exception("Those who watch the health were not told.")
        # Whoever came before the end is in the set by now, and nobody comes after it.
        with self._lock:
            watchers = tuple(self._watchers)
        for watcher in watchers:
            _send(watcher, None)

    def _tell(self) -> None:
        with self._lock:
            watchers = tuple(self._watchers)
        statuses = {name: self._status(name) for name in {watcher.name for watcher in watchers}}
        for watcher in watchers:
            found = statuses[watcher.name]
            status = _SERVICE_UNKNOWN if found is None else found
            if status != watcher.last:
                watcher.last = status
                _send(watcher, messages.HealthCheckResponse(status=status))


def _send(watcher: _Watcher, message: Any) -> None:
    try:
        watcher.send(message)
    except Exception:  # noqa: BLE001 - a client that has left must not end the thread for the others
        _log.debug("A watcher of %s has left.", watcher.name, exc_info=True)
