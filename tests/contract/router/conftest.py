"""
Fixtures of the router's contract tests: shared upstreams, and a router for each test.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from testkit.load import GrpcClient, RestClient
from testkit.routers import CANARY, STABLE, Bench, Upstream, bench

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def upstreams() -> Iterator[None]:
    """
    Two servers of version 1 and one of version 2, which no test may kill.
    """
    servers = [Upstream(STABLE[0], "1"), Upstream(STABLE[1], "1"), Upstream(CANARY, "2")]
    for server in servers:
        server.start()
    yield
    for server in servers:
        server.end()


@pytest.fixture
def router(tmp_path: Path, upstreams: None) -> Iterator[Bench]:
    """
    A router that is not started yet, whose API server knows the pools of the shared upstreams.
    """
    with bench(tmp_path, next(NUMBERS)) as under_test:
        under_test.pool("a", *STABLE)
        under_test.pool("b", CANARY)
        yield under_test
        print(under_test.log())  # noqa: T201  pytest shows it where a test failed


@pytest.fixture
async def rest(router: Bench) -> AsyncIterator[RestClient]:
    """
    A REST client of the router, with one keep-alive connection.
    """
    client = RestClient(router.address)
    yield client
    client.close()


@pytest.fixture
async def rpc(router: Bench) -> AsyncIterator[GrpcClient]:
    """
    A gRPC client of the router, with one connection.
    """
    client = GrpcClient(router.address)
    yield client
    await client.aclose()
