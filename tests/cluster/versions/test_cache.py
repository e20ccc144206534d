"""
A claim that the pods of a deployment share: fetched once, found again, cleared of old revisions.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from testkit.cluster import MODEL, Cluster, Deployed, apply, kubectl, manifest, play, until
from testkit.shelves import make_claim, make_shelf, remove_claim
from testkit.traffic import Traffic

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(540)]

QUICK = {"steps": [{"weight": 50, "hold": "3s"}], "progressDeadline": "60s"}
PODS = 3


def _folder(tmp_path: Path) -> Path:
    """
    Make a folder that pods may write, whoever they are.
    """
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)
    tmp_path.chmod(0o777)
    return tmp_path


async def _reports(cluster: Cluster, name: str, version: int) -> dict[str, dict[str, Any]]:
    """
    Read what the fetches of a version's ready pods reported, by pod.
    """
    found = {}
    for pod in await cluster.pods(name, "server"):
        container = pod["spec"]["initContainers"][0]
        statuses = pod["status"].get("initContainerStatuses") or [{}]
        ended = statuses[0].get("state", {}).get("terminated", {})
        if f"--version={version}" in container["args"] and ended.get("exitCode") == 0:
            found[pod["metadata"]["name"]] = json.loads(ended["message"])
    return found


async def _assert_fetched_once(cluster: Cluster, name: str, version: int) -> None:
    reports = (await _reports(cluster, name, version)).values()
    assert len(reports) == PODS
    downloaded = sorted(report["downloaded"] for report in reports)
    size = max(report["bytes"] for report in reports)
    assert downloaded == [0] * (PODS - 1) + [size], downloaded


async def _assert_a_new_pod_downloads_nothing(cluster: Cluster, name: str, version: int) -> None:
    before = await _reports(cluster, name, version)
    await kubectl("delete", "pod", next(iter(before)), "--wait=false")

    async def back() -> list[dict[str, Any]]:
        now = await _reports(cluster, name, version)
        return [report for pod, report in now.items() if pod not in before]

    [report] = await until("the pod is back", back)
    assert report["downloaded"] == 0
    assert "has the digest asked for" in report["message"]


async def _make_revisions(cluster: Cluster, deployed: Deployed, count: int) -> None:
    """
    Let so many more revisions be recorded, without any of them being rolled out.
    """
    await deployed.patch({"spec": {"rollout": {"paused": True}}})
    for number in range(count):
        flag = f"--rest_api_timeout_in_ms={30_000 + number}"
        await deployed.patch({"spec": {"server": {"args": [flag]}}})

        async def recorded(flag: str = flag) -> bool:
            kept = await cluster.children("/apis/apps/v1", "controllerrevisions", deployed.name)
            return any(flag in json.dumps(record["data"]) for record in kept)

        await until(f"the revision of {flag} is recorded", recorded)


async def _until_cleared(cluster: Cluster, name: str, folder: Path) -> None:
    """
    Wait until a folder is gone, and with it its record and its Job.
    """

    async def gone() -> bool:
        records = await cluster.children("/apis/apps/v1", "controllerrevisions", name)
        jobs = await cluster.children("/apis/batch/v1", "jobs", name)
        there = await asyncio.to_thread(folder.exists)
        return not there and not jobs and len(records) == 10

    await until(f"{folder.name} is cleared", gone)


def test_one_fetch_serves_all_pods(tmp_path: Path) -> None:
    """
    Under load: one download for each version, none for a pod that comes back, old folders go.
    """

    async def scenario(cluster: Cluster) -> None:
        name, store = "cached", await make_shelf("cached")
        for version in (1, 2):
            await store.put(version, version)
        await make_claim(name, _folder(tmp_path))
        body = manifest(name, 1, replicas=PODS, rollout=QUICK)
        body["spec"]["model"].update(uri=store.uri, cache={"claimName": name})
        deployed = await apply(cluster, body)
        first = (await deployed.until_stable(1))["stable"]["revision"]
        await _assert_fetched_once(cluster, name, 1)
        folders = tmp_path / "modeldeploy-cache" / name
        async with Traffic(await deployed.host(), MODEL, pause=0.05) as traffic:
            await _assert_a_new_pod_downloads_nothing(cluster, name, 1)
            await deployed.until_stable(1)
            await deployed.want_version(2)
            second = (await deployed.until_stable(2))["stable"]["revision"]
            await _assert_fetched_once(cluster, name, 2)
            await _make_revisions(cluster, deployed, 9)
            await _until_cleared(cluster, name, folders / first)
            await traffic.answered()
        assert traffic.seen.failures == []
        assert {"1", "2"} == set(traffic.seen.versions["rest"])
        assert [path.name for path in (folders / second).iterdir()] == ["2"]
        assert not list(folders.glob(f"{first}*"))
        await deployed.delete()
        body["spec"]["model"]["version"] = 2
        deployed = await apply(cluster, body)
        await deployed.until_stable(2)
        again = await _reports(cluster, name, 2)
        assert [report["downloaded"] for report in again.values()] == [0] * PODS
        await deployed.delete()
        await remove_claim(name)

    play(scenario)


def test_another_image_serves_from_the_claim_that_is_its_source(tmp_path: Path) -> None:
    """
    A foreign server reads the folder; files of another platform fail before any traffic.
    """

    async def scenario(cluster: Cluster) -> None:
        name, store = "cached-foreign", await make_shelf("cached-foreign")
        await store.put(1, 1)
        source = _folder(tmp_path) / "source"
        await asyncio.to_thread(store.copy, 1, source / "1")
        (source / "2").mkdir()
        (source / "2" / "model.onnx").write_bytes(b"onnx")
        await make_claim(name, tmp_path)
        [operator] = await cluster.operator_pods()
        settings = {v["name"]: v.get("value") for v in operator["spec"]["containers"][0]["env"]}
        image = settings["MODELDEPLOY_RUNTIME_IMAGE"]
        model = {"name": MODEL, "uri": f"pvc://{name}/source", "version": 1}
        cached = {"cache": {"claimName": name}, "platform": "tensorflow"}
        body = manifest(name, 1, rollout=QUICK, server={"image": image})
        body["spec"]["model"] = {**model, **cached}
        deployed = await apply(cluster, body)
        stable = (await deployed.until_stable(1))["stable"]["revision"]
        served = tmp_path / "modeldeploy-cache" / name / stable
        assert [path.name for path in served.iterdir()] == ["1"]
        async with Traffic(await deployed.host(), MODEL, pause=0.05) as traffic:
            await deployed.want_version(2)
            stalled = await deployed.until_condition("Stalled", "True", "ModelUnusable")
            assert "model.onnx" in stalled["message"], stalled
            await traffic.answered()
        assert traffic.seen.failures == []
        assert set(traffic.seen.versions["rest"]) == {"1"}
        await deployed.delete()
        await remove_claim(name)

    play(scenario)
