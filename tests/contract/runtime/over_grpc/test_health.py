"""
grpc.health.v1 and reflection, with the stock clients of both; and the unix socket.
"""

import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from testkit.model_servers import running

HALF = "half_plus_two"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVICES = (
    "PredictionService",
    "ModelService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


def _check(channel: grpc.Channel, name: str) -> int:
    request = health_pb2.HealthCheckRequest(service=name)
    return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        # One of the shared server's models cannot be loaded, so that it is not ready.
        ("", NOT_SERVING),
        ("PredictionService", NOT_SERVING),
        ("tensorflow.serving.PredictionService", NOT_SERVING),
        ("ModelService", SERVING),
        ("tensorflow.serving.ModelService", SERVING),
        (HALF, SERVING),
        ("broken", NOT_SERVING),
        ("incomplete", NOT_SERVING),
    ],
)
def test_check(channel: grpc.Channel, name: str, status: int) -> None:
    """
    Health is that of what a name means: the server, a service or a model.
    """
    assert _check(channel, name) == status


def test_check_of_an_unknown_name(channel: grpc.Channel) -> None:
    """
    What nobody knows is not found.
    """
    with pytest.raises(grpc.RpcError) as caught:
        _check(channel, "nothing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "There is no service or model nothing."


def test_list(channel: grpc.Channel) -> None:
    """
    List gives all names at once.
    """
    request = health_pb2.HealthListRequest()
    listed = health_pb2_grpc.HealthStub(channel).List(request, timeout=10).statuses
    found = {name: status.status for name, status in listed.items()}
    assert found.items() >= {"": NOT_SERVING, HALF: SERVING, "broken": NOT_SERVING}.items()


def test_watch(models: Path, tmp_path: Path) -> None:
    """
    Watch tells of the load, of the shutdown and of nothing in between; readiness goes first.
    """
    flags = [f"--model_name={HALF}", f"--model_base_path={models}/{HALF}", "--drain_delay=1s"]
    with running(tmp_path, *flags) as server, grpc.insecure_channel(server.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        server.wait(lambda: server.get("/healthz").status == 200, "the port", 10.0)
        watches = [
            stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=100)
            for name in ("", HALF, "nothing")
        ]
        seen: dict[int, list[int]] = {0: [], 1: [], 2: []}

        def read(index: int, watch: Any) -> None:
            for answer in watch:
                seen[index].append(answer.status)

        readers = [threading.Thread(target=read, args=pair) for pair in enumerate(watches)]
        for reader in readers:
            reader.start()
        server.wait_ready()
        for name in SERVICES:
            assert _check(channel, name) == SERVING
        # The statuses are looked at ten times a second: what lasts shorter may stay untold.
        server.wait(lambda: seen[0][1:] and seen[1][1:], "the second status", 10.0)
        server.terminate()
        server.wait(lambda: _check(channel, "") == NOT_SERVING, "NOT_SERVING", 0.9)
        assert _check(channel, "ModelService") == NOT_SERVING
        assert server.get("/readyz").status == 503
        for reader in readers:
            reader.join(20)
        # Open watches do not hold up the end.
        assert server.process.wait(10) == 0
        assert "were cut" not in server.log
    assert seen[0] == seen[1] == [NOT_SERVING, SERVING, NOT_SERVING]
    assert seen[2] == [SERVICE_UNKNOWN]


def test_switched_off(models: Path, tmp_path: Path) -> None:
    """
    The service can be switched off; a unix socket and unknown channel arguments work.
    """
    socket = tmp_path / "grpc.sock"
    flags = [
        f"--model_name={HALF}",
        f"--model_base_path={models}/{HALF}",
        "--enable_grpc_healthcheck_service=false",
        f"--grpc_socket_path={socket}",
        "--grpc_channel_arguments=grpc.max_connection_age_ms=500,grpc.nonsense=yes,bare",
    ]
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        for target in (server.target, f"unix:{socket}"):
            with grpc.insecure_channel(target) as channel:
                with pytest.raises(grpc.RpcError) as caught:
                    _check(channel, "")
                assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        # The known argument took effect: the server ends the connection.
        states: list[grpc.ChannelConnectivity] = []
        with grpc.insecure_channel(server.target) as channel:
            channel.subscribe(states.append, try_to_connect=True)
            server.wait(lambda: grpc.ChannelConnectivity.READY in states, "a connection", 10.0)
            server.wait(lambda: grpc.ChannelConnectivity.IDLE in states[1:], "its end", 10.0)


def test_reflection(channel: grpc.Channel) -> None:
    """
    A client that knows nothing but the reflection service can find and call Predict.
    """
    database = ProtoReflectionDescriptorDatabase(channel)
    offered = database.get_services()
    assert {"tensorflow.serving.PredictionService", "grpc.health.v1.Health"} <= set(offered)
    pool = descriptor_pool.DescriptorPool(database)
    for name in offered:
        assert pool.FindServiceByName(name).methods
    method = pool.FindMethodByName("tensorflow.serving.PredictionService.Predict")
    request: Any = message_factory.GetMessageClass(method.input_type)()
    request.model_spec.name = HALF
    request.model_spec.version.value = 1
    request.inputs["x"].dtype = 1
    request.inputs["x"].float_val.append(1.0)
    request.inputs["x"].tensor_shape.dim.add().size = 1
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    answer: Any = message_factory.GetMessageClass(method.output_type)()
    answer.ParseFromString(call(request.SerializeToString(), timeout=10))
    assert list(answer.outputs["y"].float_val) == [2.5]
    with pytest.raises(KeyError):
        pool.FindMessageTypeByName("no.such.Message")


def test_newer_reflection(channel: grpc.Channel) -> None:
    """
    Version 1 of the protocol is the same, under another name.
    """
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(database)
    method = pool.FindMethodByName("grpc.reflection.v1.ServerReflection.ServerReflectionInfo")
    request: Any = message_factory.GetMessageClass(method.input_type)(list_services="*")
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    for raw in call(iter([request.SerializeToString()]), timeout=10):
        answer: Any = message_factory.GetMessageClass(method.output_type)()
        answer.ParseFromString(raw)
        listed = [service.name for service in answer.list_services_response.service]
        assert listed == sorted(database.get_services())
