"""
Where the cluster's models come from: base paths in its store, and claims.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import s3fs

from testkit.cluster import MODEL, kubectl

SOURCE = f"models/{MODEL}"


class Shelf:
    """
    A base path of the test's own in the cluster's store.
    """

    def __init__(self, address: str, name: str) -> None:
        self.uri = f"s3://models/{name}"
        self._path = f"models/{name}"
        self._store = s3fs.S3FileSystem(
            key="modeldeploy",
            secret="modeldeploy-demo",  # noqa: S106 - the demo store's own, in examples/s3
            client_kwargs={"endpoint_url": f"http://{address}:7070"},
            use_listings_cache=False,
        )
        if self._store.exists(self._path):
            self._store.rm(self._path, recursive=True)

    async def put(self, version: int | str, source: int, *, lacking: str = "") -> None:
        """
        Upload a version, all but the files whose names hold a word.
        """
        await asyncio.to_thread(self._put, version, source, lacking)

    def _put(self, version: int | str, source: int, lacking: str) -> None:
        root = f"{SOURCE}/{source}"
        for path in self._store.find(root):
            if not lacking or lacking not in path:
                target = path.replace(root, f"{self._path}/{version}", 1)
                self._store.pipe(target, self._store.cat(path))

    def copy(self, source: int, target: Path) -> None:
        """
        Download one of the cluster's versions.
        """
        root = f"{SOURCE}/{source}"
        for path in self._store.find(root):
            file = target / path.removeprefix(root).lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self._store.cat(path))


async def make_shelf(name: str) -> Shelf:
    """
    Make an empty base path.
    """
    where = "--output=jsonpath={.spec.clusterIP}"
    address = await kubectl("get", "service", "s3", where)
    return await asyncio.to_thread(Shelf, address, name)


async def make_claim(name: str, folder: Path) -> None:
    """
    Make a claim whose volume is a folder of this machine; one that a failed test left goes before.
    """
    await kubectl("delete", "persistentvolume", name, "--ignore-not-found")
    ways, size = ["ReadWriteMany"], {"storage": "1Gi"}
    place: dict[str, Any] = {"accessModes": ways, "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {**place, "capacity": size, "hostPath": {"path": str(folder)}},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {**place, "volumeName": name, "resources": {"requests": size}},
    }
    for body in (volume, claim):
        await kubectl("apply", "-f", "-", stdin=json.dumps(body))


async def remove_claim(name: str) -> None:
    """
    Remove a claim and its volume, and leave the folder.
    """
    await kubectl("delete", "persistentvolumeclaim", name)
    await kubectl("delete", "persistentvolume", name)
