"""
Watches and the lists that they answer: against an API server whose every turn the test decides.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from modeldeploy_operator.cluster.apply import RESOURCES
from modeldeploy_operator.cluster.port import ClusterError, GoneError, Manifest, Resource
from modeldeploy_operator.cluster.watching import cached as cached_module
from modeldeploy_operator.cluster.watching import watch as watch_module
from modeldeploy_operator.cluster.watching.cached import CachedKube
from testkit.fake_kube import FakeKube

SERVICES = Resource("v1", "Service", "services")
LABEL = "serving.modeldeploy.io/deployment"
PATH = "/api/v1/namespaces/vision/services"
OURS = {"labelSelector": f"{LABEL}=mnist"}


def _item(version: int, name: str = "mnist") -> Manifest:
    return {
        "metadata": {
            "name": name,
            "namespace": "vision",
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": {LABEL: "mnist"},
        }
    }


class Server:
    """
    Lists what it is told to, and hands out one queue of events for each watch.
    """

    def __init__(self) -> None:
        self.items: list[Manifest] = []
        self.version = 10
        self.lists: list[dict[str, str]] = []
        self.watches: list[str] = []
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.error: Exception | None = None

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        List, two at a time.
        """
        self.lists.append(dict(query or {}))
        if self.error:
            raise self.error
        assert path in ("/api/v1/services", PATH)
        begin = int((query or {}).get("continue", 0))
        more = {"continue": str(begin + 2)} if len(self.items) > begin + 2 else {}
        return {
            "metadata": {"resourceVersion": str(self.version), **more},
            "items": self.items[begin : begin + 2],
        }

    async def watch(
        self, _path: str, query: Mapping[str, str], _silence: float
    ) -> AsyncGenerator[Manifest, None]:
        """
        Tell events; None ends the watch, an exception breaks it.
        """
        self.watches.append(query["resourceVersion"])
        yield {"type": "OPENED"}
        while (event := await self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event


class Told(list[tuple[str, str]]):
    """
    Who was asked for.
    """

    def ask(self, namespace: str, name: str) -> None:
        """
        Note a call.
        """
        self.append((namespace, name))


@pytest.fixture
def server() -> Server:
    """
    Set the imitation up.
    """
    return Server()


@asynccontextmanager
async def _running(
    server: Server,
    namespace: str = "",
    told: Told | None = None,
    kube: FakeKube | None = None,
) -> AsyncIterator[CachedKube]:
    cached = CachedKube(kube or FakeKube(), server, [SERVICES], namespace)
    if told is not None:
        cached.on_change(told.ask)
    task = asyncio.create_task(cached.run())
    try:
        await cached.filled()
        yield cached
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - turns of the loop, not times
            await asyncio.sleep(0)


async def _names(cached: CachedKube) -> list[str]:
    return [item["metadata"]["name"] for item in (await cached.get(PATH, OURS))["items"]]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(watch_module, "LONGEST_DELAY", 0.0)


async def test_a_list_in_pages_is_remembered_and_followed(server: Server) -> None:
    """
    Lists of ours are answered from memory, which begins with a list and goes on with a watch.
    """
    server.items = [_item(n, f"mnist-{n}") for n in range(5)]
    told = Told()
    async with _running(server, told=told) as cached:
        assert len(await _names(cached)) == 5
        assert [q.get("continue") for q in server.lists] == [None, "2", "4"]
        assert {q["labelSelector"] for q in server.lists} == {LABEL}
        server.events.put_nowait({"type": "ADDED", "object": _item(11, "new")})
        server.events.put_nowait({"type": "DELETED", "object": _item(12, "mnist-0")})
        await _until(lambda: len(told) == 3)
        assert "new" in await _names(cached)
        assert "mnist-0" not in await _names(cached)
    assert server.watches == ["10"]


async def test_a_watch_that_ends_goes_on_from_where_it_was(server: Server) -> None:
    """
    Neither a server that ends a watch nor one that breaks it off leads to another list.
    """
    async with _running(server):
        bookmark = {"kind": "Service", "metadata": {"resourceVersion": "15"}}
        server.events.put_nowait({"type": "BOOKMARK", "object": bookmark})
        server.events.put_nowait(None)
        await _until(lambda: len(server.watches) == 2)
        server.events.put_nowait({"type": "MODIFIED", "object": _item(17)})
        server.events.put_nowait(ClusterError("it went away"))
        await _until(lambda: len(server.watches) == 3)
    assert server.watches == ["10", "15", "17"]
    assert len(server.lists) == 1


@pytest.mark.parametrize("code", [410, 500])
async def test_a_version_that_is_too_old_leads_to_a_new_list(server: Server, code: int) -> None:
    """
    What was missed in between, a deletion too, is known after the list; other errors list nothing.
    """
    server.items = [_item(5)]
    told = Told()
    async with _running(server, told=told) as cached:
        server.items, server.version = [], 20
        error = {"kind": "Status", "code": code, "message": "too old"}
        server.events.put_nowait({"type": "ERROR", "object": error})
        await _until(lambda: len(server.watches) == 2)
        assert await _names(cached) == ([] if code == 410 else ["mnist"])
        assert told == [("vision", "mnist")] * (2 if code == 410 else 1)


async def test_reading_anew_shows_what_no_watch_has_told(server: Server) -> None:
    """
    A new leader knows all that was written before it began, and follows from there.
    """
    async with _running(server, "vision") as cached:
        server.items, server.version = [_item(19)], 20
        await cached.renew()
        assert await _names(cached) == ["mnist"]
        await _until(lambda: len(server.watches) == 2)
    assert server.watches == ["10", "20"]


async def test_a_server_that_is_away_at_the_start_is_waited_for(server: Server) -> None:
    """
    Nothing is answered from a memory that was never filled.
    """
    server.error = ClusterError("away")
    cached = CachedKube(FakeKube(), server, [SERVICES])
    task = asyncio.create_task(cached.run())
    asked = asyncio.create_task(_names(cached))
    await _until(lambda: len(server.lists) > 2)
    assert not asked.done()
    server.error, server.items = None, [_item(5)]
    assert await asked == ["mnist"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_kind_that_the_cluster_lacks_is_gone_until_it_is_installed(server: Server) -> None:
    """
    No pass asks for it in vain; whoever did is told once it is there, even without any object.
    """
    told = Told()
    server.error = GoneError("no such kind")
    async with _running(server, told=told) as cached:
        with pytest.raises(GoneError, match="no services of v1"):
            await cached.get(PATH, OURS)
        await cached.renew()
        server.error = None
        await _until(lambda: server.watches)
        assert told == [("vision", "mnist")]
        assert await _names(cached) == []


async def test_nothing_is_decided_on_what_may_be_old(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A memory that was told nothing for minutes answers no list, and says why.
    """
    async with _running(server) as cached:
        turned, fresh = cached.ages()
        assert turned["services"] < 5 > fresh["services"]
        monkeypatch.setattr(cached_module, "STALE_SECONDS", -1.0)
        with pytest.raises(ClusterError, match="watch of services has heard nothing"):
            await _names(cached)


async def test_what_was_written_is_seen_at_once(server: Server) -> None:
    """
    A pass that follows an apply or a deletion sees it, although no watch has told it yet.
    """
    told = Told()
    async with _running(server, told=told) as cached:
        kube = cached._kube
        assert isinstance(kube, FakeKube)
        written = {k: v for k, v in _item(0)["metadata"].items() if k != "resourceVersion"}
        await cached.apply(f"{PATH}/mnist", {"metadata": written})
        assert await _names(cached) == ["mnist"]
        await cached.send("DELETE", f"{PATH}/mnist", {})  # answered with the object, as it was
        assert await _names(cached) == []
    assert told == []


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ({"kind": "Status", "details": {"uid": "uid-of-mnist"}}, []),
        (_item(5), []),
        ({"metadata": {**_item(6)["metadata"], "deletionTimestamp": "now"}}, ["mnist"]),
    ],
)
async def test_a_deletion_is_known_at_once(
    server: Server, answer: Manifest, left: list[str]
) -> None:
    """
    Whatever a kind answers to a deletion; what waits for its finalizers is still there.
    """

    class Answering(FakeKube):
        """
        Answers every deletion in the same way.
        """

        async def send(self, _method: str, _path: str, _body: Manifest) -> Manifest:
            """
            Answer.
            """
            return answer

    server.items = [_item(5)]
    async with _running(server, kube=Answering()) as cached:
        await cached.send("DELETE", f"{PATH}/mnist", {})
        assert await _names(cached) == left


async def test_an_answer_that_was_overtaken_brings_nothing_back(server: Server) -> None:
    """
    The event of a deletion may come before the answer to it; the object stays away.
    """
    server.items = [_item(5)]
    told = Told()

    class Slow(FakeKube):
        """
        Answers a deletion after the watch has told it.
        """

        async def send(self, _method: str, _path: str, _body: Manifest) -> Manifest:
            """
            Wait for the watch, then answer with the object as it was.
            """
            server.events.put_nowait({"type": "DELETED", "object": _item(7)})
            await _until(lambda: len(told) == 2)
            return _item(7)

    async with _running(server, told=told, kube=Slow()) as cached:
        await cached.send("DELETE", f"{PATH}/mnist", {})
        assert await _names(cached) == []


async def test_what_is_not_watched_is_passed_on(server: Server) -> None:
    """
    Single objects, foreign selectors and other kinds are asked of the API server.
    """
    async with _running(server) as cached:
        kube = cached._kube
        assert isinstance(kube, FakeKube)
        kube.put(f"{PATH}/theirs", {"metadata": {"name": "theirs", "labels": {"a": "b"}}})
        assert (await cached.get(f"{PATH}/theirs"))["metadata"]["name"] == "theirs"
        assert len((await cached.get(PATH, {"labelSelector": "a=b"}))["items"]) == 1
        other = "/apis/serving.modeldeploy.io/v1alpha1/namespaces/vision/modeldeployments"
        kube.put(f"{other}/mnist", {"metadata": {"name": "mnist"}, "spec": {}})
        assert (await cached.get(f"{other}/mnist"))["spec"] == {}
        body = await cached.get(f"{other}/mnist")
        await cached.send("PUT", f"{other}/mnist/status", {**body, "status": {"a": 1}})


def test_no_secret_is_ever_watched() -> None:
    """
    Tenants' credentials never reach the operator's memory.
    """
    assert not [resource for resource in RESOURCES if resource.plural == "secrets"]
