"""
Where versions come from besides S3 and claims: Google's store, and the runtime's own image.
"""

import asyncio
import socket
from pathlib import Path

import pytest

from modeldeploy_devcluster import buildah, images, settings
from testkit import clouds
from testkit.cluster import (
    MODEL,
    OPERATOR_NAMESPACE,
    Cluster,
    apply,
    kubectl,
    manifest,
    play,
)
from testkit.shelves import make_shelf
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(540)]

QUICK = {"steps": [{"weight": 50, "hold": "1s"}], "progressDeadline": "60s"}
SOON = {"pollInterval": "1s", "settlePeriod": "2s"}


async def _versions(name: str, folder: Path, *versions: int) -> None:
    """
    Copy versions of the cluster's model into a folder.
    """
    shelf = await make_shelf(name)
    for version in versions:
        await asyncio.to_thread(shelf.copy, version, folder / str(version))


async def _own_address() -> str:
    """
    Find the address by which nodes and pods reach this machine.
    """
    where = "--output=jsonpath={.items[0].status.addresses[0].address}"
    node = await kubectl("get", "nodes", where)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((node, 9))
        return str(probe.getsockname()[0])


def test_a_store_of_google(tmp_path: Path) -> None:
    """
    A Secret leads the fetch and the watcher of latest to a store of Google's kind.
    """

    async def scenario(cluster: Cluster) -> None:
        name, secret = "from-google", "from-google-keys"
        source = tmp_path / "source"
        await _versions(name, source, 1, 2)
        with clouds.google(tmp_path, await _own_address()) as endpoint:
            files = clouds.google_files(endpoint)
            await asyncio.to_thread(clouds.upload, files, source, ["1"], name)
            keys = f"--from-literal=STORAGE_EMULATOR_HOST={endpoint}"
            await kubectl("create", "secret", "generic", secret, keys)
            body = manifest(name, "latest", rollout=QUICK)
            uri = f"gs://{clouds.BUCKET}/{name}"
            body["spec"]["model"].update(uri=uri, secretName=secret, **SOON)
            deployed = await apply(cluster, body)
            await deployed.until_stable(1)
            async with Traffic(await deployed.host(), MODEL, pause=0.05) as traffic:
                await asyncio.to_thread(clouds.upload, files, source, ["2"], name)
                await deployed.until_stable(2)
                await traffic.answered()
            assert traffic.seen.failures == []
            assert {"1", "2"} == set(traffic.seen.versions["rest"])
            await deployed.delete()
            await kubectl("delete", "secret", secret)

    play(scenario)


async def _give_the_operator(image: str) -> None:
    """
    Name the runtime's image to the operator, as the chart does, and wait until that is so.
    """
    there = f"--namespace={OPERATOR_NAMESPACE}"
    operator = "deployment/modeldeploy-operator"
    await kubectl("set", "env", there, operator, f"MODELDEPLOY_RUNTIME_IMAGE={image}")
    await kubectl("rollout", "status", there, operator, "--timeout=50s")


def _bake(runtime: str, folder: Path) -> str:
    """
    Build an image that is the runtime with models in it; give its name in the cluster.
    """
    (folder / "Dockerfile").write_text(f"FROM {runtime}\nCOPY source /baked/{MODEL}\n")
    known, image = settings.load(), f"{images.REPOSITORY}/baked:{runtime.rpartition(':')[2]}"
    buildah.build(known, image, folder / "Dockerfile", folder)
    return images.push_to_node_registry(known, image)


def test_models_of_the_runtimes_own_image(tmp_path: Path) -> None:
    """
    A folder of the image is a source as any other; one that is not there is told by its name.
    """

    async def scenario(cluster: Cluster) -> None:
        name = "from-image"
        await _versions(name, tmp_path / "source", 1, 2)
        [operator] = await cluster.operator_pods()
        given = {v["name"]: v.get("value") for v in operator["spec"]["containers"][0]["env"]}
        runtime = str(given["MODELDEPLOY_RUNTIME_IMAGE"])
        await _give_the_operator(await asyncio.to_thread(_bake, runtime, tmp_path))
        try:
            body = manifest(name, 1, rollout=QUICK)
            body["spec"]["model"] = {
                "name": MODEL,
                "uri": f"file:///baked/{MODEL}",
                "version": 1,
            }
            deployed = await apply(cluster, body)
            await deployed.until_stable(1)
            async with Traffic(await deployed.host(), MODEL, pause=0.05) as traffic:
                await deployed.want_version(2)
                await deployed.until_stable(2)
                await deployed.patch({"spec": {"model": {"uri": "file:///none"}}})
                stalled = await deployed.until_condition("Stalled", "True", "StorageNotFound")
                assert "the folder /none" in stalled["message"], stalled
                await traffic.answered()
            assert traffic.seen.failures == []
            await deployed.delete()
        finally:
            await _give_the_operator(runtime)

    play(scenario)
