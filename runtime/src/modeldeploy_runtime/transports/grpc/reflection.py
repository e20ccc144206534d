"""
gRPC reflection, in both versions that clients speak: what is offered, with all message types.

The descriptors come from the pool of our own messages, which is not protobuf's default one.
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import descriptor_pb2

from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.transports.grpc import admission

VERSIONS = ("v1", "v1alpha")

# A stream occupies a thread for as long as its client likes: few, and never the predictions'.
_THREADS = 4
_ANSWERED = (
    "list_services",
    "file_by_filename",
    "file_containing_symbol",
    "all_extension_numbers_of_type",
)
_NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]


def service(version: str) -> str:
    """Name the service of one version of the protocol."""
    return f"grpc.reflection.{version}.ServerReflection"


class Reflection:
    """Threads may call every method at any time."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = sorted([*services, *map(service, VERSIONS)])
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="reflection")
        self._streams: set[grpc.ServicerContext] = set()
        self._lock = threading.Lock()

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Offer the service in every version."""
        return [self._handler(version) for version in VERSIONS]

    def close(self) -> None:
        """End all streams, for which a server that stops would wait."""
        with self._lock:
            streams = tuple(self._streams)
        for context in streams:
            context.cancel()

    def _handler(self, version: str) -> grpc.GenericRpcHandler:
        request_class, response_class = messages.REFLECTION[version]

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            with self._lock:
                if len(self._streams) >= _THREADS:
                    context.abort(
                        grpc.StatusCode.RESOURCE_EXHAUSTED,
                        f"{_THREADS} clients are asking for reflection already; try again soon.",
                    )
                self._streams.add(context)
            try:
                for data in requests:
                    request = admission.parsed(request_class.FromString, data, context)
                    response = response_class(valid_host=request.host, original_request=request)
                    self._fill(request, response)
                    yield response
            finally:
                with self._lock:
                    self._streams.discard(context)

        behavior: Any = answer
        behavior.experimental_thread_pool = self._pool
        handler = grpc.stream_stream_rpc_method_handler(
            behavior,
            response_serializer=response_class.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(
            service(version), {"ServerReflectionInfo": handler}
        )

    def _fill(self, request: Any, response: Any) -> None:
        kind = request.WhichOneof("message_request")
        try:
            if kind == "list_services":
                for name in self._services:
                    response.list_services_response.service.add().name = name
            elif kind == "file_by_filename":
                _add_files(response, messages.POOL.FindFileByName(request.file_by_filename))
            elif kind == "file_containing_symbol":
                _add_files(response, _file_of(request.file_containing_symbol))
            elif kind == "all_extension_numbers_of_type":
                name = messages.POOL.FindMessageTypeByName(
                    request.all_extension_numbers_of_type
                ).full_name
                response.all_extension_numbers_response.base_type_name = name
        except KeyError:
            kind = None
        if kind not in _ANSWERED:
            response.error_response.error_code = _NOT_FOUND
            response.error_response.error_message = "This server knows nothing of that name."


def _file_of(symbol: str) -> Any:
    """Find the file that declares a message, a field, a service or a method."""
    try:
        return messages.POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        # The pool does not count methods among the symbols.
        return messages.POOL.FindMethodByName(symbol).containing_service.file


def _add_files(response: Any, file: Any) -> None:
    """Add a file and all that it imports: not every client asks for those by itself."""
    seen: dict[str, Any] = {}
    _collect(file, seen)
    for found in seen.values():
        proto = descriptor_pb2.FileDescriptorProto()
        found.CopyToProto(proto)
        response.file_descriptor_response.file_descriptor_proto.append(proto.SerializeToString())


def _collect(file: Any, seen: dict[str, Any]) -> None:
    if file.name in seen:
        return
    seen[file.name] = file
    for imported in file.dependencies:
        _collect(imported, seen)
