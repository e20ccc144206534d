"""
`version: latest`: new complete versions are found in the storage and rolled out by themselves.
"""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_runtime.servables.ids import version_number
from testkit.asking import Asker
from testkit.cluster import (
    MODEL,
    Cluster,
    Deployed,
    apply,
    kubectl,
    manifest,
    play,
    until,
)
from testkit.shelves import Shelf, make_claim, make_shelf, remove_claim
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(540)]

QUICK = {"steps": [{"weight": 50, "hold": "1s"}], "progressDeadline": "60s"}
STEPS = [{"weight": 10, "hold": "5s"}, {"weight": 50, "hold": "5s"}]
SOON = {"pollInterval": "1s", "settlePeriod": "2s"}


async def _follow(
    cluster: Cluster, shelf: Shelf, name: str, model: dict[str, Any] | None = None
) -> Deployed:
    body = manifest(name, "latest", rollout=QUICK)
    body["spec"]["model"].update(uri=shelf.uri, **SOON, **(model or {}))
    return await apply(cluster, body)


async def _watchers(cluster: Cluster, deployed: Deployed) -> list[dict[str, Any]]:
    return await cluster.pods(deployed.name, "watcher")


def test_new_versions_are_found_and_promoted() -> None:
    """
    Under load: found, promoted, not touched while incomplete, and left alone once pinned.
    """

    async def scenario(cluster: Cluster) -> None:
        shelf = await make_shelf("follow")
        deployed = await _follow(cluster, shelf, "follow")
        await deployed.until_condition("Following", "False", "NoVersion")
        await deployed.until_condition("Ready", "False", "AwaitingVersion")
        await shelf.put(1, 1)
        status = await deployed.until_stable(1)
        assert status["model"] == {"uri": shelf.uri, "version": "1"}
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await shelf.put(2, 2)
            await deployed.until_stable(2)
            await shelf.put(3, 3, lacking="variables.data")
            told = await deployed.until_condition("Following", "True", "VersionIncomplete")
            assert "shards" in told["message"], told
            assert (await deployed.status())["model"]["version"] == "2"
            await shelf.put(3, 3)
            stable = (await deployed.until_stable(3))["stable"]
            pods = {pod["metadata"]["uid"] for pod in await cluster.pods("follow", "server")}
            await deployed.want_version(3)
            await deployed.until_stable(3)

            async def unwatched() -> bool:
                return not await _watchers(cluster, deployed)

            await until("the watcher goes", unwatched)
            assert (await deployed.status())["stable"]["revision"] == stable["revision"]
            after = {pod["metadata"]["uid"] for pod in await cluster.pods("follow", "server")}
            assert after == pods
            await shelf.put(4, 1)
            await traffic.answered()
            assert not await deployed.condition("Following")
        assert traffic.seen.failures == []
        outcomes = [chapter["version"] for chapter in (await deployed.status())["history"]]
        assert outcomes == ["3", "2", "1"]
        await deployed.delete()

    play(scenario)


@pytest.mark.long
def test_a_version_that_failed_is_not_tried_again() -> None:
    """
    A broken upload is aborted once, an operator that starts anew does not try it, a newer one is.
    """

    async def scenario(cluster: Cluster) -> None:
        shelf = await make_shelf("broken-latest")
        await shelf.put(1, 1)
        deployed = await _follow(cluster, shelf, "broken-latest")
        await deployed.until_stable(1)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await shelf.put(5, 8)
            await deployed.until_condition("Stalled", "True", "ModelUnusable")
            await deployed.until_outcome("Aborted")
            [operator] = await cluster.operator_pods()
            where = f"--namespace={operator['metadata']['namespace']}"
            await kubectl(where, "delete", "pod", operator["metadata"]["name"])
            await traffic.answered(300)
            await deployed.until_condition("Stalled", "True", "ModelUnusable")
            tried = [chapter["version"] for chapter in (await deployed.status())["history"]]
            assert tried == ["5", "1"]
            await shelf.put(6, 2)
            await deployed.until_stable(6)
        assert traffic.seen.failures == []
        assert set(traffic.seen.versions["rest"]) == {"1", "6"}
        await deployed.delete()

    play(scenario)


@pytest.mark.long
def test_a_claim_is_followed_step_by_step(tmp_path: Path) -> None:
    """
    A version that is moved into a claim goes through all steps under load, and is promoted.
    """

    async def scenario(cluster: Cluster) -> None:
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)
        shelf, models = await make_shelf("claimed"), tmp_path / "models"
        await asyncio.to_thread(shelf.copy, 1, models / "1")
        name = "latest-claim"
        await make_claim(name, tmp_path)
        rollout = {"steps": STEPS, "progressDeadline": "60s"}
        body = manifest("claimed", "latest", rollout=rollout)
        body["spec"]["model"] = {"name": MODEL, "uri": f"pvc://{name}/models", "version": "latest"}
        body["spec"]["model"].update(SOON)
        deployed = await apply(cluster, body)
        await deployed.until_stable(1)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await asyncio.to_thread(shelf.copy, 2, models / "upload")
            shutil.move(models / "upload", models / "2")
            for step in STEPS:
                await deployed.until_weight(f"{step['weight']}%", 2)
            await deployed.until_stable(2)
        assert traffic.seen.failures == []
        assert set(traffic.seen.versions["rest"]) == {"1", "2"}
        await deployed.delete()
        await remove_claim(name)

    play(scenario)


@pytest.mark.long
def test_a_date_is_a_version_that_is_followed_and_pinned() -> None:
    """
    Found and promoted like a number; asked for by path, header, label and its derived number.
    """
    first, second = "2024-11-05T10-00", "2024-12-01T08-00"

    async def scenario(cluster: Cluster) -> None:
        shelf = await make_shelf("dated")
        await shelf.put(first, 1)
        also: dict[str, Any] = {"keepVersions": 1}
        deployed = await _follow(cluster, shelf, "dated", also)
        await deployed.until_stable(first)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            await shelf.put(second, 2)
            await deployed.until_stable(second)
            asker = Asker(await deployed.host())
            for version in (first, second):
                assert await asker.rest(f"/versions/{version}") == version
                assert await asker.rest(f"/labels/{version}") == version
                assert await asker.rest(x_model_version=version) == version
                assert await asker.grpc(label=version) == version
                assert await asker.grpc(version=version_number(version)) == version
                assert await asker.grpc(metadata={"x_model_version": version}) == version
            assert await asker.rest("/versions/2025-01-01") == "404"
        assert traffic.seen.failures == []
        assert {first, second} == set(traffic.seen.versions["rest"])
        await asker.close()
        await deployed.delete()

    play(scenario)


@contextlib.asynccontextmanager
async def _storage_away() -> AsyncIterator[None]:
    """
    Let nothing stand behind the store's address for a while.
    """

    async def select(app: str) -> None:
        patch = json.dumps({"spec": {"selector": {"app": app}}})
        await kubectl("patch", "service", "s3", f"--patch={patch}")

    await select("away")
    try:
        yield
    finally:
        await select("s3")


@pytest.mark.long
def test_a_storage_that_is_away_changes_nothing() -> None:
    """
    Not even for a watcher that starts meanwhile; once it is back, new versions are found again.
    """

    async def scenario(cluster: Cluster) -> None:
        shelf = await make_shelf("away")
        await shelf.put(2, 2)
        deployed = await _follow(cluster, shelf, "away")
        before = await deployed.until_stable(2)
        async with Traffic(await deployed.host(), MODEL) as traffic:
            async with _storage_away():
                await deployed.until_condition("Following", "False", "StorageUnavailable")
                await kubectl("delete", "pod", "--selector=app.kubernetes.io/component=watcher")
                await deployed.until_condition("Following", "False", "WatcherUnready")
                await traffic.answered()
                status = await deployed.status()
                assert status["stable"] == before["stable"]
                assert status["model"] == before["model"]
                assert "canary" not in status
            await deployed.until_condition("Following", "True", "UpToDate")
            await shelf.put(3, 3)
            await deployed.until_stable(3)
        assert traffic.seen.failures == []
        assert len((await deployed.status())["history"]) == 2
        await deployed.delete()

    play(scenario)


def test_latest_beside_a_digest_is_refused() -> None:
    """
    A digest belongs to one version.
    """

    async def scenario(_: Cluster) -> None:
        body = manifest("digested", "latest")
        body["spec"]["model"]["digest"] = f"sha256:{'0' * 64}"
        with pytest.raises(AssertionError, match="cannot stand beside latest"):
            await kubectl("apply", "-f", "-", stdin=json.dumps(body))

    play(scenario)
