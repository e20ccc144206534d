"""Sends requests to a server over gRPC, as any client does."""

from typing import Any

import grpc

from modeldeploy_runtime import channels
from modeldeploy_runtime.replaying.exchanges import Answer, Method

SERVICE = "tensorflow.serving.PredictionService"
_UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class UnreachableError(Exception):
    """The server cannot be asked: nothing was measured."""


class RefusedError(Exception):
    """The server answered with an error."""


class Client:
    """One server; threads may ask it at the same time."""

    def __init__(
        self, target: str, seconds: float, root_certificates: str = "", server_name: str = ""
    ) -> None:
        self._target = target
        self._seconds = seconds
        self._channel = channels.connect(target, _UNBOUNDED, root_certificates, server_name)

    def wait(self, seconds: float) -> None:
        """
        Wait until the server can be reached.

        Raises:
            UnreachableError: It cannot, within so many seconds.
        """
        try:
            grpc.channel_ready_future(self._channel).result(timeout=seconds)
        except grpc.FutureTimeoutError:
            raise UnreachableError(
                f"The server {self._target} could not be reached within {seconds:g} s."
            ) from None

    def ask(self, method: Method, request: Any) -> Answer:
        """
        Send a request, and read what was answered.

        Raises:
            UnreachableError: The server could not be asked.
            RefusedError: It answered with an error, or not in time.
        """
        call = self._channel.unary_unary(
            f"/{SERVICE}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=method.response.FromString,
        )
        try:
            response = call(request, timeout=self._seconds)
        except grpc.RpcError as error:
            told = " ".join(f"{error.details()}".split())[:200]
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise UnreachableError(f"The server {self._target} is gone: {told}") from error
            raise RefusedError(f"the answer is the error {error.code().name}: {told}") from error
        return method.read(response)

    def close(self) -> None:
        """Let the connection go."""
        self._channel.close()
