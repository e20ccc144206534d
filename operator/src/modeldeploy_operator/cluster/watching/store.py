"""
One kind's objects in memory, as a list and the watch after it tell them. A pure module.

Whatever is newer wins, by the resource version, so that an object that we have just written is
never replaced by what a watch tells late.
"""

from collections.abc import Iterable

from modeldeploy_operator.cluster.port import Manifest, Resource
from modeldeploy_operator.manifests import names

REMEMBERED = 10_000
"""So many lives that have ended are remembered; a uid never comes back."""

Owned = tuple[str, str]
"""Namespace and name of the ModelDeployment that an object's label names."""


class Store:
    """
    The objects of one kind, by their owner.
    """

    def __init__(self, resource: Resource) -> None:
        self._common = {"apiVersion": resource.api_version, "kind": resource.kind}
        self._owners: dict[tuple[str, str], Owned] = {}
        self._objects: dict[Owned, dict[str, Manifest]] = {}
        self._gone: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def select(self, namespace: str, owner: str) -> list[Manifest]:
        """
        List the objects of a ModelDeployment; they are shared, so nobody may change them.
        """
        found = self._objects.get((namespace, owner), {})
        return [found[name] for name in sorted(found)]

    def replace(self, items: Iterable[Manifest], version: str) -> set[Owned]:
        """
        Take a whole list, and tell whose objects changed.

        What was written after the list was made stays.
        """
        changed: set[Owned] = set()
        listed: set[tuple[str, str]] = set()
        for item in items:
            metadata = item["metadata"]
            listed.add((metadata["namespace"], metadata["name"]))
            changed |= self.put(item)
        for key in set(self._owners) - listed:
            if not _newer(self._find(key), version):
                changed |= self._drop(key)
        return changed

    def clear(self) -> set[Owned]:
        """
        Forget everything, and tell whose objects there were.
        """
        changed = set(self._objects)
        self._owners.clear()
        self._objects.clear()
        return changed

    def put(self, item: Manifest) -> set[Owned]:
        """
        Take an object, and tell whose objects changed; nobody's if it is no news.
        """
        metadata = item["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if metadata["uid"] in self._gone:
            return set()
        known = self._find(key) if key in self._owners else None
        if known is not None and not _newer(item, known["metadata"]["resourceVersion"]):
            return set()
        owner = (metadata["namespace"], metadata.get("labels", {}).get(names.DEPLOYMENT_LABEL, ""))
        changed = self._drop(key) if known is not None and self._owners[key] != owner else set()
        if not owner[1]:
            return changed
        self._owners[key] = owner
        self._objects.setdefault(owner, {})[key[1]] = {
            **self._common,
            **item,
            "metadata": _slim(metadata),
        }
        return changed | {owner}

    def remove(self, namespace: str, name: str, uid: str) -> set[Owned]:
        """
        Forget an object that is gone, and tell whose objects changed.

        Nothing that is told of it later brings it back: neither a late event, nor the answer to a
        write that was overtaken by the event of its deletion.
        """
        self._gone[uid] = None
        while len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]
        key = (namespace, name)
        if key not in self._owners or self._find(key)["metadata"]["uid"] != uid:
            return set()
        return self._drop(key)

    def _find(self, key: tuple[str, str]) -> Manifest:
        return self._objects[self._owners[key]][key[1]]

    def _drop(self, key: tuple[str, str]) -> set[Owned]:
        owner = self._owners.pop(key)
        found = self._objects[owner]
        del found[key[1]]
        if not found:
            del self._objects[owner]
        return {owner}


def _slim(metadata: Manifest) -> Manifest:
    """
    Forget which fields somebody manages, and keep who wrote when.
    """
    if "managedFields" not in metadata:
        return metadata
    writers = [
        {name: value for name, value in entry.items() if name != "fieldsV1"}
        for entry in metadata["managedFields"]
    ]
    return {**metadata, "managedFields": writers}


def _newer(item: Manifest, version: str) -> bool:
    """
    Compare resource versions, which Kubernetes lets clients do as long as they are numbers.
    """
    own: str = item["metadata"]["resourceVersion"]
    if own.isdigit() and version.isdigit():
        return int(own) > int(version)
    return own != version
