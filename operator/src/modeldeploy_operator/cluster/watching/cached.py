"""
A door to Kubernetes that answers lists of our own objects from memory.

A pass that follows a write sees that write: what the API server answers to it is put into the
store at once. A pass never sees a store that is not filled yet, or that was not told anything for
so long that it may be wrong.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from modeldeploy_operator.cluster.port import ClusterError, Kube, Manifest, Resource
from modeldeploy_operator.cluster.watching.store import Owned
from modeldeploy_operator.cluster.watching.watch import Source, Watch
from modeldeploy_operator.manifests import names

STALE_SECONDS = 180.0
OWN_SELECTOR = f"{names.DEPLOYMENT_LABEL}="


class CachedKube:
    """
    A `Kube` whose lists come from watches; everything else goes to the API server.
    """

    def __init__(
        self,
        kube: Kube,
        source: Source,
        resources: Iterable[Resource],
        namespace: str = "",
    ) -> None:
        self._kube = kube
        self._asks: list[Callable[[str, str], None]] = []
        self.watches = {
            (resource.api_version, resource.plural): Watch(source, resource, namespace, self._tell)
            for resource in resources
        }

    def on_change(self, ask: Callable[[str, str], None]) -> None:
        """
        Name somebody to be asked when what belongs to a ModelDeployment was changed by others.
        """
        self._asks.append(ask)

    def ages(self) -> tuple[dict[str, float], dict[str, float]]:
        """
        Tell how many seconds ago each watch last turned, and last heard something.
        """
        now = time.monotonic()
        named = [(watch.resource.plural, watch) for watch in self.watches.values()]
        return {n: now - w.turned for n, w in named}, {n: now - w.fresh for n, w in named}

    async def run(self) -> None:
        """
        Keep every watch going until cancelled.
        """
        async with asyncio.TaskGroup() as group:
            for watch in self.watches.values():
                group.create_task(watch.run())

    async def filled(self) -> None:
        """
        Wait until every kind was listed once.
        """
        await asyncio.gather(*(watch.listed.wait() for watch in self.watches.values()))

    async def renew(self) -> None:
        """
        Read everything anew, so that what others wrote before this call is known.

        Raises:
            ClusterError: The API server refused or could not be reached.

        """
        await asyncio.gather(*(watch.renew() for watch in self.watches.values()))

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        Read one object from the API server, or a list of ours from memory.

        Raises:
            GoneError: It is not there, or the cluster does not have this kind.
            ClusterError: What is in memory is too old to decide on.

        """
        selector = (query or {}).get("labelSelector", "")
        api_version, namespace, plural, name = parse(path)
        watch = self.watches.get((api_version, plural))
        if watch is None or name or not selector.startswith(OWN_SELECTOR):
            return await self._kube.get(path, query)
        await watch.listed.wait()
        silent = time.monotonic() - watch.fresh
        if silent > STALE_SECONDS:
            raise ClusterError(
                f"The watch of {plural} has heard nothing for {silent:.0f} s, so what is known of "
                "them may be old and nothing is decided on it; see this operator's log for why."
            )
        return {"items": watch.select(namespace, selector.removeprefix(OWN_SELECTOR))}

    async def apply(self, path: str, manifest: Manifest) -> Manifest:
        """
        Apply, and remember the answer.
        """
        written = await self._kube.apply(path, manifest)
        api_version, _, plural, _ = parse(path)
        watch = self.watches.get((api_version, plural))
        if watch is not None:
            watch.store.put(written)
        return written

    async def send(self, method: str, path: str, body: Manifest) -> Manifest:
        """
        Create, replace or delete, and remember the answer.
        """
        answer = await self._kube.send(method, path, body)
        api_version, namespace, plural, name = parse(path)
        watch = self.watches.get((api_version, plural))
        if watch is not None and method == "DELETE" and _is_gone(answer):
            # A Status names the object's uid; some kinds answer with the object as it was.
            uid = (answer.get("details") or answer["metadata"])["uid"]
            watch.store.remove(namespace, name, uid)
        elif watch is not None:
            watch.store.put(answer)
        return answer

    def tell(self, namespace: str, name: str) -> None:
        """
        Ask for a look, as for a change.
        """
        for ask in self._asks:
            ask(namespace, name)

    def _tell(self, owners: Iterable[Owned]) -> None:
        for owner in owners:
            self.tell(*owner)


def _is_gone(answer: Manifest) -> bool:
    """
    Tell whether a deletion is done, or an object has finalizers or time left.
    """
    return "deletionTimestamp" not in answer.get("metadata", {})


def parse(path: str) -> tuple[str, str, str, str]:
    """
    Take a path apart: API version, namespace, plural, and name, which is empty for a list.

    >>> parse("/apis/apps/v1/namespaces/vision/deployments/mnist-router")
    ('apps/v1', 'vision', 'deployments', 'mnist-router')
    >>> parse("/api/v1/namespaces/vision/pods")
    ('v1', 'vision', 'pods', '')
    """
    root, _, rest = path.partition("/namespaces/")
    namespace, _, rest = rest.partition("/")
    plural, _, name = rest.partition("/")
    return root.removeprefix("/apis/").removeprefix("/api/"), namespace, plural, name
