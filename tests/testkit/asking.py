"""
Asking a deployment which version answers, in every way in which a request can name one.
"""

from typing import Any

import grpc

from modeldeploy_runtime.protos import messages
from testkit.cluster import MODEL
from testkit.load import PREDICT, GrpcClient, RestClient
from testkit.traffic import BODY


class Asker:
    """
    One REST and one gRPC client, which ask who answers.
    """

    def __init__(self, host: str) -> None:
        self.rest_client = RestClient(host)
        self.grpc_client = GrpcClient(host)
        self.host = host

    async def rest(self, place: str = "", **headers: str) -> str:
        """
        Return the version that answers a path, or the status of a refusal.
        """
        path = f"/v1/models/{MODEL}{place}:predict"
        status, got, _ = await self.rest_client.send("POST", path, BODY, **headers)
        return got["x-model-version"] if status == 200 else str(status)

    async def grpc(self, size: int = 4, *, metadata: Any = None, **choice: Any) -> str:
        """
        Return the version that answers a message of about this size, or the status' name.
        """
        try:
            answer = await self.grpc_client.call(
                PREDICT, message_of(size, **choice), **metadata or {}
            )
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        spec = messages.PredictResponse.FromString(answer).model_spec
        # A version whose name is no number is told by its name, in the place of a label.
        return str(spec.version_label or spec.version.value)

    async def close(self) -> None:
        """
        Close the connections.
        """
        await self.rest_client.aclose()
        await self.grpc_client.aclose()


def message_of(size: int, *, version: int = 0, label: str = "") -> bytes:
    """
    Build a request of about this size that names a version or a label.
    """
    request = messages.PredictRequest()
    request.model_spec.name = MODEL
    if version:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = size // 4
    request.inputs["x"].tensor_content = bytes(size // 4 * 4)
    return bytes(request.SerializeToString())
