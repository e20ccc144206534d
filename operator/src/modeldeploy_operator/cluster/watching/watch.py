"""
A watch that does not fall silent: list a kind, follow its changes, and begin anew where needed.

An expired version (410) leads to a new list; a broken connection and one without a sign of life
leads to a new watch from where the last one ended. An API server may have nothing to tell of a
kind for hours, not even a bookmark; that it goes on from our version says that we missed nothing.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from modeldeploy_operator.cluster.port import (
    OPENED,
    ClusterError,
    ExpiredError,
    GoneError,
    Manifest,
    Resource,
)
from modeldeploy_operator.cluster.watching.store import Owned, Store
from modeldeploy_operator.manifests import names

log = logging.getLogger(__name__)

PAGE = 500
SILENCE_SECONDS = 75.0
"""
After so long a watch is opened anew, as its connection may be dead: the API server sends a bookmark
each minute, but none where no object of a kind was written since the watch's version.
"""
SERVER_SECONDS = 300
FIRST_DELAY, LONGEST_DELAY = 0.2, 20.0


class Source(Protocol):
    """
    What a watch needs of the API server.
    """

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        Read a list.
        """
        ...

    def watch(
        self, path: str, query: Mapping[str, str], silence: float
    ) -> AsyncGenerator[Manifest, None]:
        """
        Follow changes; ends when the server ends it, and after so many silent seconds.
        """
        ...


class Watch:
    """
    Keeps one kind's store fresh, for as long as `run` runs.

    Attributes:
        store: What is known.
        listed: Set once there was a first list.
        served: Whether the cluster has this kind at all.
        fresh: When the server last told something, by this process's own clock.
        turned: When the loop last came round, whether or not the server answered.
    """

    def __init__(
        self,
        source: Source,
        resource: Resource,
        namespace: str,
        tell: Callable[[Iterable[Owned]], None],
    ) -> None:
        self.resource = resource
        self.store = Store(resource)
        self.listed = asyncio.Event()
        self.served = True
        self.fresh = self.turned = time.monotonic()
        self._source = source
        self._path = resource.path(namespace) if namespace else resource.everywhere()
        self._tell = tell
        self._version = ""
        self._listing = asyncio.Lock()
        self._stream: asyncio.Task[None] | None = None
        self._missed: set[Owned] = set()

    async def run(self) -> None:
        """
        List and follow until cancelled.
        """
        failures = 0
        while True:
            self.turned = time.monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._follow()
                failures = 0
            except ExpiredError:
                self._version = ""
            except GoneError:
                self._missing()
                await _pause(LONGEST_DELAY)
            except ClusterError as error:
                log.warning("The watch of %s broke off: %s", self.resource.plural, error)
                failures += 1
                await _pause(min(LONGEST_DELAY, FIRST_DELAY * 2**failures))

    def select(self, namespace: str, owner: str) -> list[Manifest]:
        """
        List the objects of a ModelDeployment, which nobody may change.

        Raises:
            GoneError: The cluster does not have this kind. Who asked is told once it has.

        """
        if not self.served:
            self._missed.add((namespace, owner))
            raise GoneError(
                f"This cluster has no {self.resource.plural} of {self.resource.api_version}."
            )
        return self.store.select(namespace, owner)

    async def renew(self) -> None:
        """
        Read everything anew, now, so that all that was ever written before is known.

        Raises:
            ClusterError: The API server refused or could not be reached.

        """
        if self.served:
            await self._list()
        if self._stream is not None:
            self._stream.cancel()

    async def _list(self) -> None:
        async with self._listing:
            items, self._version = await self._read_pages()
            self.served, self.fresh = True, time.monotonic()
            changed = self.store.replace(items, self._version)
            self.listed.set()
            self._tell(changed | self._missed)
            self._missed = set()

    async def _read_pages(self) -> tuple[list[Manifest], str]:
        query = {"labelSelector": names.DEPLOYMENT_LABEL, "limit": str(PAGE)}
        items: list[Manifest] = []
        while True:
            page = await self._source.get(self._path, query)
            items += page["items"]
            onward = page["metadata"].get("continue")
            if not onward:
                return items, page["metadata"]["resourceVersion"]
            query = {**query, "continue": onward}

    async def _follow(self) -> None:
        """
        Run one stream as a task of its own, which `renew` may end.
        """
        self._stream = asyncio.create_task(self._read())
        try:
            await asyncio.wait([self._stream])
        finally:
            self._stream.cancel()
        if not self._stream.cancelled():
            self._stream.result()

    async def _read(self) -> None:
        query = {
            "labelSelector": names.DEPLOYMENT_LABEL,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(SERVER_SECONDS * random.uniform(0.8, 1.2))),  # noqa: S311 - jitter
        }
        async with aclosing(self._source.watch(self._path, query, SILENCE_SECONDS)) as events:
            async for event in events:
                self.fresh = self.turned = time.monotonic()
                if event["type"] != OPENED:
                    self._take(event["type"], event["object"])

    def _take(self, kind: str, item: dict[str, Any]) -> None:
        if kind == "ERROR":
            if item.get("code") == 410:
                raise ExpiredError(str(item.get("message")))
            raise ClusterError(f"the API server ended it: {item.get('message')}")
        self._version = item["metadata"]["resourceVersion"]
        if kind == "DELETED":
            metadata = item["metadata"]
            gone = self.store.remove(metadata["namespace"], metadata["name"], metadata["uid"])
            self._tell(gone)
        elif kind != "BOOKMARK":
            self._tell(self.store.put(item))

    def _missing(self) -> None:
        """
        Note that the cluster has no such kind, as where an optional API is not installed.
        """
        self.served, self.fresh, self._version = False, time.monotonic(), ""
        self._tell(self.store.clear())
        self.listed.set()


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
