"""
Pods without containers: who answers in their place when the operator asks a router or a server.

The operator asks every pod by its address. All addresses of hollow pods lead to this machine, so
one small server answers for all of them: it knows from the API which pod has which address, and
answers as the programs in it would, from the routing configuration that the operator wrote.
"""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from modeldeploy_operator.cluster.apply import PODS
from modeldeploy_operator.cluster.kube import KubeClient
from modeldeploy_operator.cluster.port import Resource
from modeldeploy_operator.cluster.watching.cached import CachedKube
from modeldeploy_operator.evidence.pods import is_ready
from modeldeploy_operator.manifests import names

CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")


class Hollow:
    """
    Answers for every router pod and every serving pod that the API server knows.
    """

    def __init__(self, client: KubeClient) -> None:
        self._cached = CachedKube(client, client, [PODS, CONFIG_MAPS])
        self._cached.on_change(self._changed)
        self._owners: dict[str, tuple[str, str]] = {}
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None
        self.asked = 0

    async def start(self, address: str) -> None:
        """
        Listen on the ports of both programs.
        """
        self._watching = asyncio.create_task(self._cached.run())
        await self._cached.filled()
        app = web.Application()
        app.router.add_get("/status", self._router_status)
        app.router.add_get("/v1/models/{model}/versions/{version}", self._model_status)
        app.router.add_get("/v1/models/{model}/versions/{version}/metadata", self._metadata)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        for port in (names.STATUS_PORT, names.REST_PORT):
            await web.TCPSite(self._runner, address, port).start()

    async def stop(self) -> None:
        """
        Stop answering.
        """
        if self._runner and self._watching:
            await self._runner.cleanup()
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def _changed(self, namespace: str, name: str) -> None:
        for pod in self._pods(namespace, name):
            if address := pod.get("status", {}).get("podIP"):
                self._owners[address] = (namespace, name)

    def _select(self, plural: str, namespace: str, name: str) -> list[dict[str, Any]]:
        return self._cached.watches[("v1", plural)].store.select(namespace, name)

    def _pods(self, namespace: str, name: str) -> Iterable[dict[str, Any]]:
        return self._select("pods", namespace, name)

    async def _router_status(self, request: web.Request) -> web.Response:
        self.asked += 1
        namespace, name = self._owners[request.host.split(":")[0]]
        maps = self._select("configmaps", namespace, name)
        routing = next(json.loads(m["data"]["routing.json"]) for m in maps if _is_routing(m, name))
        up: dict[str, int] = {}
        for pod in self._pods(namespace, name):
            revision = pod["metadata"]["labels"].get(names.REVISION_LABEL)
            if revision and is_ready(pod):
                up[revision] = up.get(revision, 0) + 1
        slots = {
            slot: {"revision": pool["revision"], "up": up.get(pool["revision"], 0)}
            for slot, pool in routing["slots"].items()
        }
        return web.json_response({"generation": routing["generation"], "slots": slots})

    async def _model_status(self, request: web.Request) -> web.Response:
        self.asked += 1
        version = request.match_info["version"]
        state = {"version": version, "state": "LOADING", "status": {"error_code": "OK"}}
        return web.json_response({"model_version_status": [state]})

    async def _metadata(self, request: web.Request) -> web.Response:
        self.asked += 1
        told = {"signature_def": {"signature_def": {"serving_default": SIGNATURE}}}
        return web.json_response({"model_spec": dict(request.match_info), "metadata": told})


SIGNATURE = {"inputs": {}, "outputs": {}, "method_name": "tensorflow/serving/predict"}


def _is_routing(config_map: dict[str, Any], name: str) -> bool:
    return bool(config_map["metadata"]["name"] == f"{name}-routing")
