"""
Tokens on a cluster: they are asked for once they are there, and change without a restart.
"""

import json
from typing import Any

import grpc
import pytest

from testkit.cluster import MODEL, Cluster, Deployed, given, kubectl, play, until
from testkit.load import PREDICT, GrpcClient, RestClient
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.long]

BODY = b'{"instances": [0.0]}'
CLIENTS = "clients"
SYNCED = 180
"""Seconds within which the kubelet and the routers have taken a changed Secret."""


async def _tokens(**tokens: str) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CLIENTS}}
    # Replaced and not applied, so that a key that is left out goes.
    text = json.dumps({**body, "stringData": tokens})
    held = await kubectl("get", "secret", CLIENTS, "--ignore-not-found", "--output=name")
    await kubectl("replace" if held else "create", "-f", "-", stdin=text)


async def _status(host: str, **headers: str) -> int:
    client = RestClient(host)
    status, _, _ = await client.send("POST", f"/v1/models/{MODEL}:predict", BODY, **headers)
    client.close()
    return status


async def _grpc_code(host: str, **metadata: str) -> Any:
    client = GrpcClient(host)
    try:
        await client.call(PREDICT, b"", **metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    finally:
        await client.aclose()
    return grpc.StatusCode.OK


async def _answers(host: str, token: str, status: int) -> None:
    """
    Wait until every router gives this answer to a token; the Service picks one at random.
    """

    async def all_do() -> bool:
        found = {await _status(host, authorization=f"Bearer {token}") for _ in range(20)}
        return found == {status}

    await until(f"{token} is answered {status}", all_do, SYNCED, poll=1)


async def _routers(deployed: Deployed) -> set[str]:
    pods = await deployed.cluster.pods(deployed.name, "router")
    return {pod["metadata"]["uid"] for pod in pods}


def test_tokens_are_asked_for_and_change() -> None:
    """
    A client with a token notices nothing; one without is refused once the Secret is there.
    """

    async def scenario(cluster: Cluster) -> None:
        await kubectl("delete", "secret", CLIENTS, "--ignore-not-found")
        deployed = await given(cluster, "guarded")
        host = await deployed.host()
        async with Traffic(host, MODEL, authorization="Bearer web-token") as traffic:
            await deployed.patch({"spec": {"traffic": {"auth": {"tokensSecretName": CLIENTS}}}})
            failing = await deployed.until_condition("RouterFailing", "True", "ContainerFailed")
            assert "spec.traffic.auth.tokensSecretName" in failing["message"]
            assert (await deployed.condition("Ready"))["status"] == "True"
            assert await _status(host) == 200
            await _tokens(web="web-token", batch="batch-token")
            await _answers(host, "no-token", 401)
            assert await _status(host) == 401
            assert await _grpc_code(host) is grpc.StatusCode.UNAUTHENTICATED
            await _answers(host, "batch-token", 200)

            async def mended() -> bool:
                return not await deployed.condition("RouterFailing")

            await until("the condition goes", mended)
            await traffic.answered()
            routers = await _routers(deployed)
            await _tokens(web="web-token", new="new-token")
            await _answers(host, "new-token", 200)
            await _answers(host, "batch-token", 401)
            await traffic.answered()
            assert await _routers(deployed) == routers
        assert traffic.seen.failures == []
        await deployed.delete()
        await kubectl("delete", "secret", CLIENTS)

    play(scenario)
