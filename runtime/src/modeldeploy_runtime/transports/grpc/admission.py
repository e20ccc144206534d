"""
Which gRPC calls are let in.

grpcio hands every call to its pool of threads, whose queue has no bound.  Here a call that finds
all threads busy and all places in the queue taken is refused at once; and a call whose message does
not come gives its thread back, which grpcio would let it keep for ever.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec, TypeVar

import grpc
from google.protobuf.message import DecodeError

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

# How often the calls that wait for their message are looked at, in seconds.
_LOOK_SECONDS = 0.25


class BoundedPool(ThreadPoolExecutor):
    """Threads that know how much work they have been given and not finished."""

    def __init__(self, threads: int, waiting: int) -> None:
        super().__init__(threads, thread_name_prefix="grpc")
        self.most = threads + waiting
        self._count = 0
        self._count_lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be given."""
        return self._count >= self.most

    def submit(
        self,
        fn: Callable[_Parameters, _Result],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> "Future[_Result]":
        """Give work, and count it until it is done."""
        with self._count_lock:
            self._count += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: "Future[Any]") -> None:
        with self._count_lock:
            self._count -= 1


class Admission(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Stands before the handlers of a service; its methods are called by grpcio's own thread."""

    def __init__(
        self, inner: grpc.GenericRpcHandler, pool: BoundedPool, patience: "Patience"
    ) -> None:
        self._inner = inner
        self._pool = pool
        self._patience = patience
        self._guarded: dict[str, grpc.RpcMethodHandler] = {}
        self._refusal = _refusal(pool.most)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Find who answers a call: the method, or a refusal."""
        handler = self._inner.service(details)
        if handler is None or self._pool.is_full:
            return handler and self._refusal
        method = details.method
        if method not in self._guarded:
            self._guarded[method] = self._guard(handler)
        return self._guarded[method]

    def _guard(self, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        """
        Take the message from a stream, which on the wire is the same.

        Only there does the thread that waits for it know its call.
        """
        behavior = handler.unary_unary
        parse = handler.request_deserializer
        if behavior is None or parse is None:
            return handler

        def answer(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            with self._patience.waiting(context):
                request: bytes | None = next(requests, None)
            if request is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The call has no message.")
                raise AssertionError("abort raises.")
            return behavior(parsed(parse, request, context), context)

        return grpc.stream_unary_rpc_method_handler(
            answer, response_serializer=handler.response_serializer
        )


def parsed(parse: Callable[[bytes], Any], data: bytes, context: grpc.ServicerContext) -> Any:
    """
    Parse a message, or end the call with INVALID_ARGUMENT.

    grpcio would answer INTERNAL, and write a traceback to the log for every such message.
    """
    try:
        return parse(data)
    except DecodeError:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The message cannot be parsed.")


def _refusal(most: int) -> grpc.RpcMethodHandler:
    def refuse(_requests: Any, context: grpc.ServicerContext) -> NoReturn:
        context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"All {most} places for gRPC requests are taken; try again soon.",
        )
        raise AssertionError("abort raises.")

    behavior: Any = refuse
    behavior.experimental_thread_pool = ThreadPoolExecutor(1, thread_name_prefix="grpc-refusal")
    return grpc.stream_unary_rpc_method_handler(behavior)


class Patience:
    """Cancels calls whose message does not come within some seconds; safe for any thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: dict[grpc.ServicerContext, float] = {}
        threading.Thread(target=self._look, name="grpc-patience", daemon=True).start()

    @contextmanager
    def waiting(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Watch a call while the block waits for its message."""
        self._calls[context] = time.monotonic() + self._seconds
        try:
            yield
        finally:
            self._calls.pop(context, None)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            for context, deadline in tuple(self._calls.items()):
                if deadline < now:
                    context.cancel()
