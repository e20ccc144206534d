"""
The errors that the router itself makes look like TensorFlow Serving's.
"""

import json

import grpc
import pytest

from testkit.load import GrpcClient, RestClient
from testkit.routers import Bench, routing

PREDICT = "/tensorflow.serving.PredictionService/Predict"


async def test_no_server_at_all(router: Bench, rest: RestClient, rpc: GrpcClient) -> None:
    """
    With no server in any pool, the answer is 503 and UNAVAILABLE, with a sentence that helps.
    """
    router.route(routing(1, 5000))
    router.pool("a")
    router.pool("b")
    router.start()
    for _ in range(10):
        status, headers, body = await rest.send("POST", "/v1/models/mnist:predict", b"{}")
        assert status == 503
        assert headers["content-type"] == "application/json"
        assert "kubectl describe mdep mnist" in json.loads(body)["error"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.call(PREDICT)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "kubectl describe mdep mnist" in str(caught.value.details())


async def test_reload_is_refused(router: Bench, rpc: GrpcClient) -> None:
    """
    HandleReloadConfigRequest is refused, however many servers would take it.
    """
    router.route(routing(1))
    router.start()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.call("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "spec.model" in str(caught.value.details())


@pytest.mark.parametrize("path", ["/", "/readyz", "/monitoring/prometheus/metrics"])
async def test_paths_of_single_pods_are_not_served(
    router: Bench, path: str, rest: RestClient
) -> None:
    """
    Readiness and metrics of one pod out of several would mislead.
    """
    router.route(routing(1))
    router.start()
    status, headers, body = await rest.send("GET", path)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert "8502" in json.loads(body)["error"]


async def test_rest_on_the_grpc_port_is_told_where_to_go(router: Bench) -> None:
    """
    A REST request to port 8500 is answered with the right port.
    """
    router.route(routing(1))
    router.start()
    rest = RestClient(router.address, 8500)
    status, _, body = await rest.send("POST", "/v1/models/mnist:predict", b"{}")
    assert status == 415
    assert "8501" in json.loads(body)["error"]
    rest.close()


async def test_messages_of_19_mb_pass(router: Bench, rest: RestClient, rpc: GrpcClient) -> None:
    """
    A large request passes over REST and over gRPC, whatever the size of the router's buffer.
    """
    router.route(routing(1, 5000))
    router.start()
    body = b"x" * 19_000_000
    for _ in range(3):
        status, _, _ = await rest.send("POST", "/v1/models/mnist:predict", body)
        assert status == 200
        assert b"version" in await rpc.call(PREDICT, body)


async def test_the_rest_port_speaks_http2_without_tls(router: Bench) -> None:
    """
    One bind serves HTTP/1.1 and h2c: a gRPC client that errs there gets an answer, not a hang-up.
    """
    router.route(routing(1))
    router.start()
    lost = GrpcClient(router.address, 8501)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lost.call(PREDICT)
    await lost.aclose()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "404" in str(caught.value.details())
