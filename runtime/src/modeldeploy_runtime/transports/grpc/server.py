"""
The gRPC server: grpcio with a pool of threads.

The methods are registered by name with message classes of our own, so that no generated stubs are
needed.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import grpc

from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import ServingError
from modeldeploy_runtime.telemetry.calls import RUN_SECONDS, SHADOW, SHADOW_MARK, Call
from modeldeploy_runtime.telemetry.observer import Observer
from modeldeploy_runtime.transports import pins
from modeldeploy_runtime.transports.grpc import errors, health
from modeldeploy_runtime.transports.grpc.admission import Admission, BoundedPool, Patience
from modeldeploy_runtime.transports.grpc.asked import Asked
from modeldeploy_runtime.transports.grpc.health import Health
from modeldeploy_runtime.transports.grpc.reflection import Reflection
from modeldeploy_runtime.transports.grpc.servicers import Methods
from modeldeploy_runtime.transports.in_flight import InFlight
from modeldeploy_runtime.transports.tls import Certificates

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
SESSION_SERVICE = "tensorflow.serving.SessionService"

Method = Callable[[Any, Asked], Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GrpcServerOptions:
    """
    Where gRPC listens, and what it bears; ``arguments`` are grpcio's own options.

    ``addresses`` are plain and ``secure`` ones encrypted, which needs ``certificates``.
    """

    addresses: tuple[str, ...]
    secure: tuple[str, ...] = ()
    threads: int = 8
    waiting: int = 64
    max_message: int = 2**31 - 1
    message_timeout: float = 30.0
    health: bool = True
    arguments: Mapping[str, str | int] = field(default_factory=dict)
    certificates: Certificates | None = None


class GrpcServer:
    """Listens on a port or a socket; threads may call every method at any time."""

    def __init__(
        self, methods: Methods, observer: Observer, readiness: Readiness, options: GrpcServerOptions
    ) -> None:
        self._observer = observer
        self.in_flight = InFlight()
        arguments: dict[str, str | int] = {
            "grpc.max_receive_message_length": options.max_message,
            "grpc.max_send_message_length": -1,
            # Two servers on one port would share its clients in secret.
            "grpc.so_reuseport": 0,
            **options.arguments,
        }
        pool = BoundedPool(options.threads, options.waiting)
        patience = Patience(options.message_timeout)
        services = [PREDICTION_SERVICE, MODEL_SERVICE, SESSION_SERVICE]
        self._health = Health(readiness, services) if options.health else None
        self._reflection = Reflection([*services, *([health.SERVICE] if options.health else [])])
        self._server = grpc.server(pool, options=tuple(arguments.items()))
        self._server.add_generic_rpc_handlers(
            [Admission(inner, pool, patience) for inner in self._handlers(methods)]
        )
        if self._health:
            self._server.add_generic_rpc_handlers([self._health.handler()])
        self._server.add_generic_rpc_handlers(self._reflection.handlers())
        for address in options.addresses:
            self._server.add_insecure_port(address)
        if options.certificates:
            for address in options.secure:
                self._server.add_secure_port(address, options.certificates.for_grpc())

    def start(self) -> None:
        """Begin to listen."""
        self._server.start()

    def stop(self, grace: float) -> threading.Event:
        """Tell clients to go elsewhere; the event comes when all requests are answered or cut."""
        if self._health:
            self._health.close()
        self._reflection.close()
        stopped: threading.Event = self._server.stop(grace)
        return stopped

    def _handlers(self, methods: Methods) -> list[grpc.GenericRpcHandler]:
        offered = {
            PREDICTION_SERVICE: {
                "Classify": self._handler(
                    "classify", methods.classify, messages.ClassificationRequest
                ),
                "Regress": self._handler("regress", methods.regress, messages.RegressionRequest),
                "Predict": self._handler("predict", methods.predict, messages.PredictRequest),
                "MultiInference": self._handler(
                    "multi_inference", methods.multi_inference, messages.MultiInferenceRequest
                ),
                "GetModelMetadata": self._handler(
                    "metadata", methods.get_model_metadata, messages.GetModelMetadataRequest
                ),
            },
            SESSION_SERVICE: {
                "SessionRun": self._handler(
                    "session_run", methods.session_run, messages.SessionRunRequest
                ),
            },
            MODEL_SERVICE: {
                "GetModelStatus": self._handler(
                    "status", methods.get_model_status, messages.GetModelStatusRequest
                ),
                "HandleReloadConfigRequest": self._handler(
                    "reload", methods.reload, messages.ReloadConfigRequest
                ),
            },
        }
        return [
            grpc.method_handlers_generic_handler(service, table)
            for service, table in offered.items()
        ]

    def _handler(self, api: str, method: Method, request_class: Any) -> grpc.RpcMethodHandler:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            call = Call("GRPC", api)
            started = time.perf_counter()
            code = "OK"
            metadata = context.invocation_metadata()
            if (SHADOW_MARK, "1") in metadata:
                call.entrypoint = SHADOW
            if self._observer.wants_details:
                call.peer = unquote(context.peer().partition(":")[2])
                call.request_bytes = request.ByteSize()
                call.headers = dict(metadata)
            with self.in_flight:
                try:
                    return self._run(method, request, Asked(call, _deadline(context), metadata))
                except ServingError as error:
                    code = error.code.name
                    context.abort(errors.status_code(error.code), errors.shorten(error.message))
                except Exception:  # noqa: BLE001 - a client is told, whatever it is
                    code = "INTERNAL"
                    _log.exception("A %s call failed.", api)
                    context.abort(grpc.StatusCode.INTERNAL, "The server failed; its log says why.")
                finally:
                    if call.version:
                        context.set_trailing_metadata(_told(call))
                    self._observer.answered(call, code, time.perf_counter() - started)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request_class.FromString,
            response_serializer=_serialize,
        )

    def _run(self, method: Method, request: Any, asked: Asked) -> Any:
        response = method(request, asked)
        if self._observer.wants_details:
            asked.call.response_bytes = response.ByteSize()
        return response


def _deadline(context: grpc.ServicerContext) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None else time.monotonic() + remaining


def _told(call: Call) -> tuple[tuple[str, str], ...]:
    """Say who answered, and to a server that compares also how long its model took."""
    version = (pins.VERSION, call.version)
    return (
        (version, (RUN_SECONDS, f"{call.run_seconds:.6f}"))
        if call.entrypoint == SHADOW
        else (version,)
    )


def _serialize(response: Any) -> bytes:
    serialized: bytes = response.SerializeToString()
    return serialized
