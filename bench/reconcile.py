"""
What a pass over an unchanged ModelDeployment costs: processor time, requests, writes.

Run it with `PYTHONPATH=tests python bench/reconcile.py`.
A real API server holds the objects; their pods are put there as a kubelet would report them, and
one small process answers for them when the operator asks. Then passes are forced, one after the
other, in a process that does nothing else, and its processor time is measured.
It ends with status 1 if a goal is missed.
"""

import argparse
import asyncio
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import prometheus_client

from modeldeploy_operator.cluster import kube, secrets
from modeldeploy_operator.cluster.apply import RESOURCES, ROUTES, Applier
from modeldeploy_operator.cluster.kube import KubeClient
from modeldeploy_operator.cluster.observe import PODS
from modeldeploy_operator.cluster.port import ConflictError, Manifest
from modeldeploy_operator.cluster.shadowing import Shadowing
from modeldeploy_operator.cluster.tokens import Tokens
from modeldeploy_operator.cluster.watching.cached import CachedKube
from modeldeploy_operator.evidence.external.asking import Asker
from modeldeploy_operator.evidence.external.measuring import Measurer
from modeldeploy_operator.evidence.looks import Looks
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.reconcile import Tools, reconcile
from modeldeploy_operator.telemetry.events import Recorder
from modeldeploy_operator.telemetry.metrics import Metrics
from testkit.control_plane import control_plane
from testkit.hollow import Hollow
from testkit.objects import IMAGES, an_object

GOAL_SECONDS = 0.020
NAMESPACE = "vision"
PODS_ADDRESS = "127.0.0.2"


class Counting:
    """
    A `Kube` that counts what reaches the API server.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.reads = self.writes = 0

    async def get(self, path: str, query: Any = None) -> Manifest:
        """
        Count a read.
        """
        self.reads += 1
        return await self._client.get(path, query)

    async def apply(self, path: str, manifest: Manifest) -> Manifest:
        """
        Count a write.
        """
        self.writes += 1
        return await self._client.apply(path, manifest)

    async def send(self, method: str, path: str, body: Manifest) -> Manifest:
        """
        Count a write.
        """
        self.writes += 1
        return await self._client.send(method, path, body)


async def _put_pods(client: KubeClient, cached: CachedKube, name: str) -> None:
    """
    Let every Deployment of an object have its pods, ready, as controllers and a kubelet would.
    """
    for deployment in cached.watches[("apps/v1", "deployments")].store.select(NAMESPACE, name):
        template = deployment["spec"]["template"]
        for number in range(deployment["spec"]["replicas"]):
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{deployment['metadata']['name']}-{number}",
                    "labels": template["metadata"]["labels"],
                },
                "spec": {**template["spec"], "nodeName": "nowhere", "schedulerName": "nobody"},
            }
            path = PODS.path(NAMESPACE)
            try:
                made = await client.send("POST", path, pod)
            except ConflictError:
                continue  # from the turn before
            status = {
                "phase": "Running",
                "podIP": PODS_ADDRESS,
                "podIPs": [{"ip": PODS_ADDRESS}],
                "conditions": [{"type": "Ready", "status": "True"}],
            }
            where = f"{path}/{made['metadata']['name']}/status"
            await client.send("PUT", where, {**made, "status": status})


async def _rest(tools: Tools, client: KubeClient, cached: CachedKube, name: str) -> None:
    for _ in range(60):
        again = await reconcile(tools, NAMESPACE, name)
        await _put_pods(client, cached, name)
        if again is None:
            return
        await asyncio.sleep(0.1)
    path = f"/apis/serving.modeldeploy.io/v1alpha1/namespaces/{NAMESPACE}/modeldeployments/{name}"
    raise RuntimeError(f"{name} did not come to rest: {(await client.get(path))['status']}")


async def _measure(objects: int, passes: int) -> dict[str, float]:
    client = KubeClient(await kube.connect())
    counting = Counting(client)
    cached = CachedKube(counting, client, (*RESOURCES, *ROUTES, PODS))
    watching = asyncio.create_task(cached.run())
    await cached.filled()
    async with aiohttp.ClientSession() as session:
        registry = prometheus_client.CollectorRegistry()
        tools = Tools(
            kube=cached,
            probe=(probe := Probe(session)),
            applier=Applier(cached),
            recorder=Recorder(cached),
            metrics=Metrics(registry),
            images=IMAGES,
            looks=Looks(),
            measurer=Measurer(Asker(()), secrets.reader(client), cached.tell),
            shadowing=Shadowing(probe, Tokens(cached, b"key")),
        )
        everybody = [f"model-{number}" for number in range(objects)]
        for name in everybody:
            await _rest(tools, client, cached, name)
        for name in everybody:  # what the last turn of another has changed
            await _rest(tools, client, cached, name)
        counting.reads = counting.writes = 0
        began, used = time.monotonic(), time.process_time()
        for number in range(passes):
            await reconcile(tools, NAMESPACE, everybody[number % objects])
        used, wall = time.process_time() - used, time.monotonic() - began
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await client.close()
    figures = {"cpu": used, "wall": wall, "reads": counting.reads, "writes": counting.writes}
    return {name: value / passes for name, value in figures.items()}


def _answer() -> None:
    """
    Answer for the pods, in a process of its own.
    """

    async def forever() -> None:
        client = KubeClient(await kube.connect())
        await Hollow(client).start(PODS_ADDRESS)
        await asyncio.Event().wait()

    asyncio.run(forever())


def main() -> int:
    """
    Measure, print, and compare with the goal.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--passes", type=int, default=500)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, control_plane(Path(folder)) as plane:
        plane.install()
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        account = {"name": "default", "namespace": NAMESPACE}
        plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        for number in range(options.objects):
            body = an_object(replicas=2)
            body["metadata"] = {"name": f"model-{number}", "namespace": NAMESPACE}
            plane.apply({key: body[key] for key in ("apiVersion", "kind", "metadata", "spec")})
        os.environ["KUBECONFIG"] = str(plane.kubeconfig())
        hollow = multiprocessing.get_context("spawn").Process(target=_answer, daemon=True)
        hollow.start()
        try:
            figures = asyncio.run(_measure(options.objects, options.passes))
        finally:
            hollow.terminate()
            hollow.join()
    milliseconds = figures["cpu"] * 1e3
    print(
        f"A pass over an unchanged object: {milliseconds:.1f} ms of processor time "
        f"(goal: at most {GOAL_SECONDS * 1e3:.0f}), {figures['wall'] * 1e3:.1f} ms in all, "
        f"{figures['reads']:g} reads and {figures['writes']:g} writes (goal: none)."
    )
    return 0 if figures["cpu"] <= GOAL_SECONDS and not figures["writes"] else 1


if __name__ == "__main__":
    sys.exit(main())
