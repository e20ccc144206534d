"""
Tokens: who shows one that the router knows is let in, and nobody else.
"""

from pathlib import Path

import grpc
import pytest

from testkit.load import GrpcClient, RestClient
from testkit.routers import Bench, routing

PREDICT = "/tensorflow.serving.PredictionService/Predict"
PATH = "/v1/models/mnist:predict"


@pytest.fixture
def tokens(router: Bench, tmp_path: Path) -> Path:
    """
    A folder as the kubelet mounts a Secret, with the tokens of two clients.
    """
    folder = tmp_path / "tokens"
    folder.mkdir()
    (folder / "web").write_text("s3cret-of.web~1\n")
    (folder / "batch").write_text("s3cret/of+batch==")
    router.environment["MODELDEPLOY_TOKENS_DIR"] = str(folder)
    router.route(routing(1))
    return folder


async def _status(rest: RestClient, token: str) -> int:
    status, _, _ = await rest.send("POST", PATH, b"{}", authorization=f"Bearer {token}")
    return status


async def test_known_tokens_are_let_in(
    router: Bench, tokens: Path, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    Each client's token opens REST and gRPC.
    """
    router.start()
    for token in ("s3cret-of.web~1", "s3cret/of+batch=="):
        assert await _status(rest, token) == 200
        await rpc.call(PREDICT, authorization=f"Bearer {token}")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic s3cret-of.web~1"},
        {"authorization": "s3cret-of.web~1"},
        {"x_authorization": "Bearer s3cret-of.web~1"},
    ],
)
async def test_others_are_refused(
    router: Bench,
    tokens: Path,
    rest: RestClient,
    rpc: GrpcClient,
    headers: dict[str, str],
) -> None:
    """
    No token, an unknown one or another scheme: 401 and UNAUTHENTICATED, with what to send.
    """
    router.start()
    status, answered, body = await rest.send("POST", PATH, b"{}", **headers)
    assert (status, answered["www-authenticate"]) == (401, "Bearer")
    assert answered["content-type"] == "application/json"
    assert b"authorization: Bearer TOKEN" in body
    assert (await rest.send("GET", "/v1/models/mnist", b"", **headers))[0] == 401
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc.call(PREDICT, b"", **headers)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "Bearer TOKEN" in str(caught.value.details())


async def test_no_server_sees_a_token(
    router: Bench, tokens: Path, rest: RestClient, rpc: GrpcClient
) -> None:
    """
    The router keeps the header to itself, so that no log or record of a server holds it.
    """
    router.start()
    bearer = "Bearer s3cret-of.web~1"
    _, _, body = await rest.send("POST", PATH, b"{}", authorization=bearer)
    assert b'"authorization": ""' in body
    assert b'"authorization": ""' in await rpc.call(PREDICT, authorization=bearer)


async def test_browsers_may_ask_first(router: Bench, tokens: Path, rest: RestClient) -> None:
    """
    A preflight request carries no token, and goes on to a server.
    """
    router.start()
    assert (await rest.send("OPTIONS", PATH))[0] == 200


async def test_tokens_come_and_go(router: Bench, tokens: Path, rest: RestClient) -> None:
    """
    A changed Secret is in force at the next look, without a restart; no token, and all are out.
    """
    router.start()
    before = router.haproxy()
    (tokens / "web").write_text("another")
    router.route(routing(2))
    router.confirmed(2)
    assert await _status(rest, "another") == 200
    assert await _status(rest, "s3cret-of.web~1") == 401
    assert await _status(rest, "s3cret/of+batch==") == 200
    (tokens / "web").unlink()
    (tokens / "batch").unlink()
    router.route(routing(3))
    router.confirmed(3)
    assert await _status(rest, "another") == 401
    assert router.haproxy() == before


def test_no_token_at_all(router: Bench, tmp_path: Path) -> None:
    """
    A router whose Secret is missing does not start, and says which field names it.
    """
    router.environment["MODELDEPLOY_TOKENS_DIR"] = str(tmp_path / "none")
    router.start(ready=False)
    assert router.process
    assert router.process.wait(20) == 1
    assert "spec.traffic.auth.tokensSecretName" in router.log()
