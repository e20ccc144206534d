"""
One operator and 300 ModelDeployments: how soon all of them serve, and what it costs to keep them.

Run it as root with `PYTHONPATH=tests python bench/many_deployments.py`.
The API server, the controllers and the scheduler are real, and so is the operator, with the rights
that the chart gives it. The nodes are hollow: kwok says that their pods are ready, and one process
answers the operator in place of the routers and servers. So models, routers and traffic have no
part in these figures. Everything runs in a network namespace of its own, which ends with it.
It ends with status 1 if a goal is missed.
"""

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modeldeploy_operator.cluster import kube
from modeldeploy_operator.cluster.kube import KubeClient
from modeldeploy_operator.cluster.port import ClusterError, Manifest
from testkit import hollow_nodes
from testkit.control_plane import ControlPlane, control_plane
from testkit.hollow import Hollow
from testkit.hollow_nodes import CONTROL_PLANE_ADDRESS, processor_seconds, resident_bytes
from testkit.objects import an_object

GOAL_SETTLED_SECONDS = 300.0
GOAL_IDLE_CORES = 0.05
NAMESPACES = 10
NODES = 20
LIST = "/apis/serving.modeldeploy.io/v1alpha1/modeldeployments"


def _bodies(count: int, version: int) -> list[dict[str, Any]]:
    bodies = []
    for number in range(count):
        body = an_object(version, replicas=2, rollout={"steps": [{"weight": 10}, {"weight": 50}]})
        place = {"name": f"model-{number}", "namespace": f"team-{number % NAMESPACES}"}
        bodies.append({**{k: body[k] for k in ("apiVersion", "kind", "spec")}, "metadata": place})
    return bodies


async def _all(client: KubeClient) -> list[Manifest]:
    """
    List the ModelDeployments; nothing, if the API server has no time for it right now.
    """
    try:
        items: list[Manifest] = (await client.get(LIST))["items"]
    except ClusterError as error:
        print(f"  {error}", flush=True)
        return []
    return items


async def _until_stable(client: KubeClient, count: int, version: int, limit: float) -> list[float]:
    """
    Wait until every object serves a version and nothing is under way; tell when each of them did.
    """
    began = time.monotonic()
    settled: dict[str, float] = {}
    while len(settled) < count and time.monotonic() - began < limit:
        for item in await _all(client):
            status = item.get("status") or {}
            kinds = {c["type"]: c["status"] for c in status.get("conditions", [])}
            stable = (status.get("stable") or {}).get("version") == str(version)
            if stable and "canary" not in status and "Reconciling" not in kinds:
                settled.setdefault(item["metadata"]["uid"], time.monotonic() - began)
        print(
            f"  {time.monotonic() - began:5.0f} s: {len(settled)} at version {version}", flush=True
        )
        await asyncio.sleep(5)
    return sorted(settled.values())


async def _measured(
    plane: ControlPlane, client: KubeClient, count: int, version: int
) -> tuple[float, float]:
    operator = plane.processes["operator"]
    used = processor_seconds(operator)
    await asyncio.to_thread(plane.apply, *_bodies(count, version))
    limit = 2 * GOAL_SETTLED_SECONDS
    times = await _until_stable(client, count, version, limit)
    seconds = times[-1] if len(times) == count else float("inf")
    return seconds, processor_seconds(operator) - used


async def _run(plane: ControlPlane, count: int, idle: float) -> int:
    client = KubeClient(await kube.connect())
    operator = plane.processes["operator"]
    first, first_cpu = await _measured(plane, client, count, 1)
    print(f"{count} new objects serve after {first:.0f} s ({first_cpu:.0f} s of processor time).")
    second, second_cpu = await _measured(plane, client, count, 2)
    print(f"{count} canaries are promoted after {second:.0f} s ({second_cpu:.0f} s).")
    await asyncio.sleep(20)  # what the controllers still tell of old pods
    began, used = time.monotonic(), processor_seconds(operator)
    versions = [item["metadata"]["resourceVersion"] for item in (await client.get(LIST))["items"]]
    await asyncio.sleep(idle)
    cores = (processor_seconds(operator) - used) / (time.monotonic() - began)
    after = [item["metadata"]["resourceVersion"] for item in (await client.get(LIST))["items"]]
    written = sum(a != b for a, b in zip(versions, after, strict=True))
    memory = resident_bytes(operator) / 2**20
    print(
        f"Idle for {idle:.0f} s: {cores * 100:.1f} % of a core (goal: below "
        f"{GOAL_IDLE_CORES * 100:.0f} %), {written} objects written (goal: none), "
        f"{memory:.0f} MiB resident."
    )
    await client.close()
    well = max(first, second) <= GOAL_SETTLED_SECONDS and cores < GOAL_IDLE_CORES and not written
    return 0 if well else 1


def _answer() -> None:
    async def forever() -> None:
        await Hollow(KubeClient(await kube.connect())).start("0.0.0.0")  # noqa: S104 - all pods' addresses
        await asyncio.Event().wait()

    asyncio.run(forever())


def _with(target: Callable[[], None], run: Callable[[], int]) -> int:
    helper = multiprocessing.get_context("spawn").Process(target=target, daemon=True)
    helper.start()
    try:
        return run()
    finally:
        helper.terminate()
        helper.join()


def main() -> int:
    """
    Set everything up, measure, print, and compare with the goals.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=300)
    parser.add_argument(
        "--idle", type=float, default=120.0, help="seconds of rest that are measured"
    )
    options = parser.parse_args()
    hollow_nodes.in_own_network()
    with (
        tempfile.TemporaryDirectory() as folder,
        control_plane(Path(folder), CONTROL_PLANE_ADDRESS) as plane,
    ):
        plane.install()
        hollow_nodes.start_controllers(plane)
        hollow_nodes.start_nodes(plane, NODES)
        names = [f"team-{number}" for number in range(NAMESPACES)]
        plane.apply(
            *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in names)
        )
        plane.start_operator("operator", MODELDEPLOY_LEASE="team-0/operator")
        os.environ["KUBECONFIG"] = str(plane.kubeconfig())
        try:
            return _with(_answer, lambda: asyncio.run(_run(plane, options.objects, options.idle)))
        finally:
            (Path(tempfile.gettempdir()) / "many_deployments.log").write_text(plane.log("operator"))


if __name__ == "__main__":
    sys.exit(main())
