"""
A small API server in memory, and pods on it that answer HTTP.

`FakeKube` implements the operator's own Protocol `Kube`: objects by path, label selectors,
resource versions that grow with each change, and 404 and 409 where the real one answers so.
`FakePods` plays the controllers and the kubelet: it runs what Deployments ask for, and answers the
operator's questions to routers and servers over a Unix socket, by the address that is asked.
"""

import base64
import copy
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from modeldeploy_operator.cluster.port import ConflictError, GoneError, Manifest

_SERVERS_OWN = ("uid", "resourceVersion", "generation", "creationTimestamp")


class FakeKube:
    """
    Objects by path. `writes` lists every request that changed something.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Manifest] = {}
        self.writes: list[tuple[str, str]] = []
        self.refusals: dict[tuple[str, str], Exception] = {}
        self._clock = 0

    def put(self, path: str, manifest: Manifest) -> Manifest:
        """
        Store an object, as if somebody else had written it.
        """
        stored = copy.deepcopy(manifest)
        before = self.objects.get(path)
        self._clock += 1
        metadata = stored.setdefault("metadata", {})
        if before:
            metadata.update({k: v for k, v in before["metadata"].items() if k in _SERVERS_OWN})
        metadata.setdefault("uid", f"uid-of-{path}")
        changed = before is None or before.get("spec") != stored.get("spec")
        metadata["generation"] = metadata.get("generation", 0) + (1 if before and changed else 0)
        metadata["resourceVersion"] = str(self._clock)
        self.objects[path] = stored
        return copy.deepcopy(stored)

    def refuse(self, method: str, path: str, error: Exception) -> None:
        """
        Refuse requests of this kind until `refusals` is cleared.
        """
        self.refusals[(method, path)] = error

    def named(self, name: str) -> list[str]:
        """
        List the plurals under which an object of that name exists.
        """
        return sorted(p.split("/")[-2] for p in self.objects if p.rsplit("/", 1)[1] == name)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        Read one object, or list a kind by its labels.
        """
        self._check("GET", path)
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        if len(path.partition("/namespaces/")[2].split("/")) > 2:
            raise GoneError(f"{path} is not there")
        wanted = _selector((query or {}).get("labelSelector", ""))
        found = [
            copy.deepcopy(item)
            for where, item in sorted(self.objects.items())
            if where.rsplit("/", 1)[0] == path
            and wanted.items() <= item["metadata"].get("labels", {}).items()
        ]
        for item in found:  # as in a real list, the items do not say what they are
            item.pop("apiVersion", None)
            item.pop("kind", None)
        return {"items": found}

    async def apply(self, path: str, manifest: Manifest) -> Manifest:
        """
        Store what is applied; only what the server itself keeps survives.
        """
        self._check("PATCH", path)
        before = self.objects.get(path, {})
        seen = manifest["metadata"].get("resourceVersion")
        if seen and (not before or seen != self.version(path)):
            raise ConflictError(f"{path} has been modified")
        self.writes.append(("PATCH", path))
        if "/pods/" in path:
            metadata = {**before["metadata"], **manifest["metadata"]}
            return self.put(path, {**before, "metadata": metadata})
        kept = {"status": before["status"]} if "status" in before else {}
        return self.put(path, {**manifest, **kept})

    async def send(self, method: str, path: str, body: Manifest) -> Manifest:
        """
        Create, replace an object or its status, or delete.
        """
        self._check(method, path)
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise ConflictError(f"{path} exists")
            self.writes.append((method, path))
            return self.put(path, body)
        target = path.removesuffix("/status")
        if target not in self.objects:
            raise GoneError(f"{target} is not there")
        if method == "DELETE":
            self.writes.append((method, path))
            return self.objects.pop(target)
        if body["metadata"]["resourceVersion"] != self.version(target):
            raise ConflictError(f"{target} has been modified")
        self.writes.append((method, path))
        if path == target:
            return self.put(target, body)
        return self.put(target, {**self.objects[target], "status": body["status"]})

    def version(self, path: str) -> str:
        """
        Return the resourceVersion of an object.
        """
        return str(self.objects[path]["metadata"]["resourceVersion"])

    def _check(self, method: str, path: str) -> None:
        error = self.refusals.get((method, path))
        if error:
            raise error


def _selector(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if part)


class FakePods:
    """
    Runs the pods that Deployments ask for, and answers for them.

    `lag` makes routers confirm nothing new; `broken` maps a revision to a load error, and `slow`
    to the share of its requests that take two seconds; each pod answers a thousand between two
    questions. `refused` maps a revision to the report with which its fetch fails, `warned` to the
    warning of one that is fetched all the same; `mute` lets no pod tell its signatures. `targets`
    is whom pods were told to compare with, by their address, and `mismatching` the share of answers
    of a revision that differ; `deaf` pods refuse to be told. `findings` is what a
    watcher answers, if it does.
    """

    def __init__(self, kube: FakeKube, namespace: str = "vision") -> None:
        self._kube = kube
        self._root = f"/namespaces/{namespace}"
        self._owner: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._confirmed: dict[str, Any] | None = None
        self.broken: dict[str, str] = {}
        self.slow: dict[str, float] = {}
        self.refused: dict[str, dict[str, Any]] = {}
        self.warned: dict[str, str] = {}
        self.mute = False
        self.targets: dict[str, dict[str, Any]] = {}
        self.mismatching: dict[str, float] = {}
        self.deaf = False
        self.told: list[tuple[str, str]] = []
        self.findings: dict[str, Any] | None = None
        self.lag = False
        self.unread: list[dict[str, Any]] | None = None
        self._served = 0

    def settle(self) -> None:
        """
        Let every Deployment have its pods, all ready but the broken ones, and routers confirm.
        """
        pods = f"/api/v1{self._root}/pods/"
        wanted = {f"{pods}{name}": pod for name, pod in self._wanted().items()}
        for path in [p for p in self._kube.objects if p.startswith(pods) and p not in wanted]:
            del self._kube.objects[path]
        for path, manifest in wanted.items():
            if self._kube.objects.get(path, {}).get("status") != manifest["status"]:
                self._kube.put(path, manifest)
        routing = [o for p, o in self._kube.objects.items() if p.endswith("-routing")]
        if routing and not self.lag:
            self._confirmed = json.loads(routing[0]["data"]["routing.json"])

    def _wanted(self) -> dict[str, Manifest]:
        root = f"/apis/apps/v1{self._root}/deployments/"
        return {
            f"{path.removeprefix(root)}-{number}": self._pod(
                f"{path.removeprefix(root)}-{number}",
                deployment["spec"]["template"]["metadata"]["labels"],
            )
            for path, deployment in self._kube.objects.items()
            if path.startswith(root)
            for number in range(deployment["spec"]["replicas"])
        }

    def _pod(self, name: str, labels: dict[str, str]) -> Manifest:
        revision = labels.get("serving.modeldeploy.io/revision", "")
        address = self._address(name)
        self._owner[address] = revision
        if revision.startswith("p"):
            return self._shared_pod(name, labels, address)
        ready = revision not in self.broken and revision not in self.refused
        report = {"code": "Fetched", "digest": f"sha256:of-{revision}"}
        if revision in self.warned:
            report["warning"] = self.warned[revision]
        fetched = json.dumps(self.refused.get(revision, report))
        state: dict[str, Any] = {"waiting": {}} if revision in self.refused else {"running": {}}
        ended = {"exitCode": 2 if revision in self.refused else 0, "message": fetched}
        return {
            "metadata": {
                "name": name,
                "labels": labels,
                "creationTimestamp": "2026-01-01T00:00:01Z",
            },
            "status": {
                "podIP": address,
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "initContainerStatuses": [
                    {
                        "name": "fetch",
                        "state": {"terminated": ended},
                    }
                ],
                "containerStatuses": [{"name": "server", "state": state}],
            },
        }

    def _shared_pod(self, name: str, labels: dict[str, str], address: str) -> Manifest:
        """
        Build a pod that holds what is on its list, and is ready with the first version.
        """
        serves = any(self._is_good(entry["revision"]) for entry in self._list(labels))
        running: list[dict[str, Any]] = [
            {"name": part, "state": {"running": {}}} for part in ("server", "follow")
        ]
        return {
            "metadata": {
                "name": name,
                "labels": labels,
                "creationTimestamp": "2026-01-01T00:00:01Z",
            },
            "status": {
                "podIP": address,
                "conditions": [{"type": "Ready", "status": str(serves)}],
                "containerStatuses": running,
            },
        }

    def _is_good(self, revision: str) -> bool:
        return revision not in self.broken and revision not in self.refused

    def _list(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        """
        Read the list of versions of the shared pods with these labels.
        """
        home = labels["serving.modeldeploy.io/revision"]
        [listed] = [o for p, o in self._kube.objects.items() if p.endswith(f"-{home}-versions")]
        found: list[dict[str, Any]] = json.loads(listed["data"]["versions.json"])["versions"]
        return found

    def _entries(self, request: web.Request) -> list[dict[str, Any]]:
        address = request.host.split(":")[0]
        home = self._owner[address]
        pods = (o for p, o in self._kube.objects.items() if f"{self._root}/pods/" in p)
        pod = next(p for p in pods if p["status"].get("podIP") == address)
        if self.unread is not None and not pod["metadata"].get("annotations"):
            return self.unread
        return self._list({"serving.modeldeploy.io/revision": home})

    async def _followed(self, request: web.Request) -> web.Response:
        told, held = {}, []
        for entry in self._entries(request):
            name, version = entry["revision"], entry["version"]
            good = {"code": "Fetched", "digest": f"sha256:of-{name}"}
            if name in self.warned:
                good["warning"] = self.warned[name]
            told[version] = self.refused.get(name, good)
            held += [] if name in self.refused else [version]
        return web.json_response({"held": held, "versions": told, "problem": ""})

    async def _states(self, request: web.Request) -> web.Response:
        states = []
        for entry in self._entries(request):
            name = entry["revision"]
            status = {"error_code": "OK", "error_message": ""}
            if name in self.broken:
                status = {"error_code": "RESOURCE_EXHAUSTED", "error_message": self.broken[name]}
            state = "END" if name in self.broken else "AVAILABLE"
            if name not in self.refused:
                states.append({"version": entry["version"], "state": state, "status": status})
        return web.json_response({"model_version_status": states})

    def _address(self, name: str) -> str:
        return self._addresses.setdefault(name, f"10.0.0.{len(self._addresses) + 1}")

    def app(self) -> web.Application:
        """
        Build the HTTP side of every pod; whom a request is for stands in its Host.
        """
        app = web.Application()
        app.router.add_get("/status", self._router_status)
        app.router.add_get("/versions", self._followed)
        app.router.add_get("/v1/models/{model}", self._states)
        app.router.add_get("/v1/models/{model}/versions/{version}", self._model_status)
        app.router.add_get("/v1/models/{model}/versions/{version}/metadata", self._metadata)
        app.router.add_route("*", "/v1/shadow", self._shadow)
        app.router.add_get("/findings", self._findings)
        app.router.add_get("/monitoring/prometheus/metrics", self._metrics)
        return app

    async def _router_status(self, _request: web.Request) -> web.Response:
        routing = self._confirmed
        if routing is None:
            return web.json_response({"generation": 0, "slots": {}})
        slots = {
            slot: {
                "revision": pool["revision"],
                "up": self._up(pool["service"].rpartition("-")[2])
                if self._is_good(pool["revision"])
                else 0,
            }
            for slot, pool in routing["slots"].items()
        }
        return web.json_response({"generation": routing["generation"], "slots": slots})

    def _up(self, revision: str) -> int:
        return sum(
            1
            for path, pod in self._kube.objects.items()
            if "/pods/" in path
            and pod["metadata"]["labels"].get("serving.modeldeploy.io/revision") == revision
            and pod["status"]["conditions"][0]["status"] == "True"
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        revision = self._owner[request.host.split(":")[0]]
        self._served += 1000
        quick = round(self._served * (1 - self.slow.get(revision, 0.0)))
        name = "modeldeploy_request_duration_seconds"
        lines = [
            f'{name}_bucket{{api="predict",le="1.0"}} {quick}',
            f'{name}_bucket{{api="predict",le="+Inf"}} {self._served}',
            f'{name}_count{{api="predict"}} {self._served}',
            "process_start_time_seconds 1",
        ]
        lines += self._compared(request.host.split(":")[0])
        return web.Response(text="\n".join(lines) + "\n")

    def _compared(self, address: str) -> list[str]:
        target = self.targets.get(address)
        if target is None:
            return []
        revision = target["name"].partition("-")[0]
        wrong = round(self._served * self.mismatching.get(revision, 0.0))
        values = {
            "started_seconds": 1,
            "compared_total": self._served,
            "mismatched_total": wrong,
            "values_total": self._served,
            "difference_total": wrong / 2,
            "largest_difference": 0.75,
            "rows_total": self._served,
            "flips_total": 7,
        }
        named = f'target="{target["name"]}"'
        lines = [f"modeldeploy_shadow_{name}{{{named}}} {n}" for name, n in values.items()]
        seconds = (("here", 2.0), ("target", 3.0))
        return lines + [
            f'modeldeploy_shadow_duration_seconds_sum{{side="{side}",{named}}} {n}'
            for side, n in seconds
        ]

    async def _shadow(self, request: web.Request) -> web.Response:
        path = f"/api/v1{self._root}/secrets/mnist-control"
        secret = base64.b64decode(self._kube.objects[path]["data"]["token"]).decode()
        if self.deaf or request.headers.get("Authorization") != f"Bearer {secret}":
            return web.json_response({"error": "no"}, status=401)
        address = request.host.split(":")[0]
        if request.method == "PUT":
            self.targets[address] = await request.json()
        if request.method == "DELETE":
            self.targets.pop(address, None)
        self.told.append((request.method, address))
        return web.json_response({"target": self.targets.get(address)})

    async def _findings(self, _request: web.Request) -> web.Response:
        if self.findings is None:
            raise web.HTTPServiceUnavailable
        return web.json_response(self.findings)

    async def _metadata(self, request: web.Request) -> web.Response:
        if self.mute:
            raise web.HTTPNotFound
        spec = {"name": request.match_info["model"], "version": request.match_info["version"]}
        signatures: dict[str, Any] = {"signature_def": {}}
        return web.json_response({"model_spec": spec, "metadata": {"signature_def": signatures}})

    async def _model_status(self, request: web.Request) -> web.Response:
        revision = self._owner[request.host.split(":")[0]]
        error = {"error_code": "INVALID_ARGUMENT", "error_message": self.broken[revision]}
        return web.json_response({"model_version_status": [{"state": "END", "status": error}]})
