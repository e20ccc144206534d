"""
Pins: a request that names a version or a label is answered by the pool that holds it, or by nobody.
"""

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from modeldeploy_router.core.routing import derived_number
from modeldeploy_runtime.protos import messages
from testkit.load import GrpcClient, RestClient, Tally, send_many
from testkit.routers import CANARY, NET, STABLE, Bench, Upstream, routing

PREDICTION = "/tensorflow.serving.PredictionService/"
SIZES = [100, 15_000, 20_000, 600_000, 19_000_000]
SERVICES: dict[str, Callable[[], Any]] = {
    f"{PREDICTION}Predict": messages.PredictRequest,
    f"{PREDICTION}Classify": messages.ClassificationRequest,
    f"{PREDICTION}Regress": messages.RegressionRequest,
    f"{PREDICTION}MultiInference": messages.MultiInferenceRequest,
    f"{PREDICTION}GetModelMetadata": messages.GetModelMetadataRequest,
    "/tensorflow.serving.SessionService/SessionRun": messages.SessionRunRequest,
    "/tensorflow.serving.ModelService/GetModelStatus": messages.GetModelStatusRequest,
}


def pinned_routing(generation: int = 1, weight: int = 5000) -> dict[str, Any]:
    """
    Version 1 is stable, version 2 the canary, and version 3, `experiment`, is served beside them.
    """
    document = routing(generation, weight)
    document["slots"]["c"] = {
        "revision": "cccccccccc", "service": "mnist-cccccccccc", "version": "003"
    }  # fmt: skip
    return document | {"pins": {"versions": {"003": "c"}, "labels": {"experiment": "c"}}}


def message(method: str, size: int = 0, **choice: Any) -> bytes:
    """
    Build a request of a service, about so large, that names a version or a label.
    """
    request = SERVICES[method]()
    spec = request.tasks.add().model_spec if "MultiInf" in method else request.model_spec
    spec.name = "mnist"
    if "label" in choice:
        spec.version_label = choice["label"]
    elif "version" in choice:
        spec.version.value = choice["version"]
    if size:
        request.inputs["x"].tensor_content = bytes(size)
    return bytes(request.SerializeToString())


@pytest.fixture
def served(router: Bench) -> Bench:
    """
    A router with three pools; the third one's only server calls itself version 2.
    """
    router.route(pinned_routing())
    router.pool("a", STABLE[0])
    router.pool("b", CANARY)
    router.pool("c", STABLE[1])
    router.start()
    return router


ASKED = {"1": STABLE[0], "2": CANARY}


@pytest.mark.parametrize("method", SERVICES)
async def test_every_service_is_pinned_by_its_message(
    served: Bench, rpc: GrpcClient, method: str
) -> None:
    """
    Each service's message chooses the pool, by version and by label.
    """
    for _ in range(5):
        for version, address in ASKED.items():
            body = message(method, version=int(version))
            assert json.loads(await rpc.call(method, body))["address"] == address
            assert json.loads(await rpc.call(method, body))["pin"] == version
        for label, address in (("stable", STABLE[0]), ("canary", CANARY)):
            answer = json.loads(await rpc.call(method, message(method, label=label)))
            assert answer["address"] == address
            assert answer["pin"].split()[1] == label


@pytest.mark.parametrize("size", SIZES)
async def test_messages_of_any_size_are_pinned(served: Bench, rpc: GrpcClient, size: int) -> None:
    """
    A version is found in a message however large it is.
    """
    method = f"{PREDICTION}Predict"
    for version, address in ASKED.items():
        body = message(method, size, version=int(version))
        for _ in range(3 if size > 1_000_000 else 20):
            assert json.loads(await rpc.call(method, body))["address"] == address


async def test_a_version_that_no_pool_holds(served: Bench, rpc: GrpcClient) -> None:
    """
    A version or label that no pool holds is NOT_FOUND in TensorFlow Serving's words.
    """
    method = f"{PREDICTION}Predict"
    status = "/tensorflow.serving.ModelService/GetModelStatus"
    for name, choice, words in (
        (method, {"version": 9}, "Servable not found for request: Specific(mnist, 9)"),
        (method, {"version": 0}, "Servable not found for request: Specific(mnist, 0)"),
        (method, {"label": "no one's"}, "Unrecognized servable version label: no one's"),
        (status, {"version": 9}, "Could not find version 9 of model mnist"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.call(name, message(name, **choice))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert caught.value.details() == words


async def test_compressed_messages_are_pinned_by_metadata(served: Bench) -> None:
    """
    A compressed message goes by its metadata, or by weight; NOT_FOUND says what to send.
    """
    method = f"{PREDICTION}Predict"
    channel = grpc.aio.insecure_channel(f"{served.address}:8500", compression=grpc.Compression.Gzip)
    call = channel.unary_unary(method)
    body = message(method, 20_000, version=1)
    addresses = {json.loads(await call(body))["address"] for _ in range(40)}
    assert addresses == {STABLE[0], CANARY}
    for _ in range(20):
        answer = json.loads(await call(body, metadata=[("x-model-version", "1")]))
        assert answer["address"] == STABLE[0]
        answer = json.loads(await call(body, metadata=[("x-model-label", "canary")]))
        assert answer["address"] == CANARY
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(body, metadata=[("x-test-code", "5")])
    assert str(caught.value.details()).startswith("as the test asked. A compressed message")
    assert "x-model-version" in str(caught.value.details())
    await channel.close()


@pytest.mark.parametrize(
    ("path", "headers", "address", "got"),
    [
        ("mnist/versions/2", {}, CANARY, "mnist/versions/2"),
        ("mnist/versions/02", {}, CANARY, "mnist/versions/02"),
        ("mnist/VERSIONS/1", {}, STABLE[0], "mnist/VERSIONS/1"),
        ("mnist/labels/canary", {}, CANARY, "mnist/versions/2"),
        ("mnist/labels/stable", {}, STABLE[0], "mnist/versions/1"),
        ("mnist", {"x_model_version": "2"}, CANARY, "mnist"),
        ("mnist", {"x_model_label": "canary"}, CANARY, "mnist"),
        ("mnist/versions/1", {"x_model_version": "2"}, CANARY, "mnist/versions/1"),
    ],
)
async def test_rest_is_pinned_by_path_and_header(
    served: Bench, rest: RestClient, path: str, headers: dict[str, str], address: str, got: str
) -> None:
    """
    A header goes before the path; a label in the path becomes the version that it means.
    """
    for _ in range(10):
        sent = await rest.send("POST", f"/v1/models/{path}:predict", b"{}", **headers)
        answer = json.loads(sent[2])
        assert (answer["address"], answer["path"]) == (address, f"/v1/models/{got}:predict")


async def test_rest_pins_that_nobody_holds(served: Bench, rest: RestClient) -> None:
    """
    They are 404 with TensorFlow Serving's words, for predictions, metadata and status.
    """
    lost = "Servable not found for request: Specific(mnist, 9)"
    for method, path, words in (
        ("POST", "mnist/versions/9:predict", lost),
        ("GET", "mnist/versions/9/metadata", lost),
        ("GET", "mnist/versions/9", "Could not find version 9 of model mnist"),
        ("POST", "mnist/labels/x%22y:predict", 'Unrecognized servable version label: x"y'),
    ):
        status, headers, body = await rest.send(method, f"/v1/models/{path}", b"{}")
        assert (status, headers["content-type"]) == (404, "application/json")
        assert json.loads(body) == {"error": words}


async def test_status_of_a_pinned_version_is_its_pools(served: Bench, rest: RestClient) -> None:
    """
    Status without a pin is stable's, and with one the pinned pool's.
    """
    for version in ("1", "2"):
        status, _, body = await rest.send("GET", f"/v1/models/mnist/versions/{version}")
        assert (status, json.loads(body)["model_version_status"][0]["version"]) == (200, version)
    status, _, body = await rest.send("GET", "/v1/models/mnist/labels/canary")
    assert json.loads(body)["model_version_status"][0]["version"] == "2"


async def test_a_pin_header_from_outside_is_taken_away(served: Bench, rest: RestClient) -> None:
    """
    What the router says to servers, nobody else can say.
    """
    _, _, body = await rest.send(
        "POST", "/v1/models/mnist:predict", b"{}", x_modeldeploy_pin="1 experiment"
    )
    assert json.loads(body)["pin"] == ""


async def test_a_pin_is_answered_by_nobody_else(
    served: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    While the pinned pool has no server, stable does not stand in for it.
    """
    method = f"{PREDICTION}Predict"
    for _ in range(3):
        status, _, body = await rest.send("POST", "/v1/models/mnist/versions/3:predict", b"{}")
        assert status == 503
        assert "kubectl describe mdep mnist" in json.loads(body)["error"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.call(method, message(method, label="experiment"))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_pinned_requests_are_counted_for_nobody(
    served: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    Requests and failures of pinned requests are in no revision's counts, and the split stays exact.
    """
    method = f"{PREDICTION}Predict"
    for _ in range(30):
        await rest.send("POST", "/v1/models/mnist/versions/2:predict", b"{}", x_test_status="500")
        with pytest.raises(grpc.aio.AioRpcError):
            await rpc.call(method, message(method, version=2), x_test_code="13")
    status = served.status()
    assert [slot["requests"] for slot in status["slots"].values()] == [0, 0, 0]
    assert [slot["failures"] for slot in status["slots"].values()] == [0, 0, 0]
    assert "tripped" not in status
    tally = await send_many(rpc.predict, 4000, 16)
    assert served.slot("b")["requests"] == tally.versions["2"]
    assert abs(tally.versions["2"] - 2000) <= 130


async def test_lasting_shares_come_before_the_split(served: Bench, rpc: GrpcClient) -> None:
    """
    A lasting share is taken from all requests, and the canary's weight from the others.
    """
    served.pool("a", STABLE[0])
    document = pinned_routing(2, 2500)
    document["slots"]["c"]["version"] = "1"
    served.route(document | {"shares": {"c": 2000}, "pins": {}})
    served.confirmed(2)
    tally = Tally()
    while tally.addresses[STABLE[1]] == 0:
        tally = await send_many(rpc.predict, 50, 10)
    tally = await send_many(rpc.predict, 10_000, 16)
    assert abs(tally.addresses[STABLE[1]] - 2000) <= 160
    assert abs(tally.addresses[CANARY] - 2000) <= 160


async def test_a_version_that_is_no_number_is_pinned_in_every_way(
    router: Bench, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    By path, header, label and metadata, and in a message by label or by the number of its name.
    """
    name, address = "2024-11-05T10-00", f"{NET}.3.240"
    server = Upstream(address, name)
    server.start()
    document = routing(1, 5000)
    document["slots"]["b"]["version"] = name
    router.route(document)
    router.pool("b", address)
    router.start()
    method = f"{PREDICTION}Predict"
    for place, headers in (
        (f"/versions/{name}", {}),
        (f"/labels/{name}", {}),
        ("", {"x_model_version": name}),
        ("", {"x_model_label": name}),
    ):
        for _ in range(5):
            _, _, body = await rest.send(
                "POST", f"/v1/models/mnist{place}:predict", b"{}", **headers
            )
            assert json.loads(body)["address"] == address
            assert json.loads(body)["pin"].split()[0] == name
    for choice in ({"label": name}, {"version": int(derived_number(name))}):
        for _ in range(5):
            answer = json.loads(await rpc.call(method, message(method, **choice)))
            assert answer["address"] == address
            assert answer["pin"].split()[0] == name
    answer = json.loads(await rpc.call(method, b"", x_model_version=name))
    assert answer["address"] == address
    server.end()
