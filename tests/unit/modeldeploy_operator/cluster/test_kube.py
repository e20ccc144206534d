"""
The client: over real HTTP, what is asked and how refusals are told apart.
"""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from modeldeploy_operator.cluster.kube import KubeClient
from modeldeploy_operator.cluster.port import (
    ClusterError,
    ConflictError,
    GoneError,
    RefusedError,
    Resource,
)

PATH = "/api/v1/namespaces/vision/services/mnist"


class Api:
    """
    Answers every request the same way and notes what it was asked.
    """

    def __init__(self) -> None:
        self.status, self.body = 200, '{"kind": "Service"}'
        self.asked: list[tuple[str, str, str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """
        Note and answer.
        """
        kind = request.headers["Content-Type"]
        self.asked.append((request.method, request.path_qs, kind, await request.text()))
        return web.Response(text=self.body, status=self.status)


@pytest.fixture
def api() -> Api:
    """
    Set the imitation up.
    """
    return Api()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[KubeClient]:
    """
    Connect the client to the imitation.
    """
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    async with TestServer(app) as server:
        configuration = Configuration(host=str(server.make_url("/")).rstrip("/"))
        connected = KubeClient(ApiClient(configuration))
        yield connected
        await connected.close()


async def test_reading_passes_the_query_on(client: KubeClient, api: Api) -> None:
    """
    A list is read with its label selector, and the answer is a plain dict.
    """
    answer = await client.get("/api/v1/namespaces/vision/services", {"labelSelector": "a=b"})
    assert answer == {"kind": "Service"}
    assert api.asked[0][:2] == ("GET", "/api/v1/namespaces/vision/services?labelSelector=a%3Db")


async def test_an_apply_is_server_side_and_ours(client: KubeClient, api: Api) -> None:
    """
    Objects are applied as our field manager, and conflicting fields are taken over.
    """
    await client.apply(PATH, {"kind": "Service"})
    method, path, kind, body = api.asked[0]
    assert (method, path) == ("PATCH", f"{PATH}?fieldManager=modeldeploy-operator&force=true")
    assert kind == "application/apply-patch+yaml"
    assert json.loads(body) == {"kind": "Service"}


async def test_a_deletion_names_no_manager(client: KubeClient, api: Api) -> None:
    """
    Whoever creates or replaces names itself; a deletion is only its options.
    """
    await client.send("DELETE", PATH, {"propagationPolicy": "Background"})
    await client.send("PUT", f"{PATH}/status", {"status": {}})
    assert [asked[1] for asked in api.asked] == [
        PATH,
        f"{PATH}/status?fieldManager=modeldeploy-operator",
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, GoneError), (409, ConflictError), (403, RefusedError), (500, ClusterError)],
)
async def test_refusals_are_told_apart(
    client: KubeClient, api: Api, status: int, error: type[ClusterError]
) -> None:
    """
    Gone, conflict and every other refusal are errors of their own, with the server's sentence.
    """
    api.status, api.body = status, '{"message": "you may not"}'
    with pytest.raises(error, match=f"refused GET {PATH}: you may not") as caught:
        await client.get(PATH)
    assert type(caught.value) is error


async def test_an_answer_that_is_no_json_is_shown(client: KubeClient, api: Api) -> None:
    """
    A proxy's page in place of an answer becomes part of the message.
    """
    api.status, api.body = 502, "<html>bad gateway</html>"
    with pytest.raises(ClusterError, match="bad gateway"):
        await client.get(PATH)


async def test_nobody_there_is_a_cluster_error(client: KubeClient) -> None:
    """
    An API server that does not answer is an error like any other refusal.
    """
    client._api.configuration.host = "http://127.0.0.1:9"
    with pytest.raises(ClusterError, match="did not answer GET"):
        await client.get(PATH)


def test_paths_follow_the_group() -> None:
    """
    The core group lives below /api, the others below /apis.
    """
    assert Resource("v1", "Service", "services").path("vision", "mnist") == PATH
    assert Resource("apps/v1", "Deployment", "deployments").path("vision") == (
        "/apis/apps/v1/namespaces/vision/deployments"
    )
