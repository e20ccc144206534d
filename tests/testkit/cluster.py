"""
A deployment in a real cluster, in the words of a test: given, when, then.

Everything waits for a condition with a bound; nothing sleeps for a fixed time and hopes.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeploy_operator.cluster import kube
from modeldeploy_operator.cluster.kube import KubeClient
from modeldeploy_operator.cluster.port import GoneError
from modeldeploy_operator.resource import ACTION_ANNOTATION, API_VERSION, KIND, PLURAL

NAMESPACE = "modeldeploy-tests"
OPERATOR_NAMESPACE = "modeldeploy-system"
MODEL = "half_plus_two"
POLL = 0.2


@dataclass(slots=True)
class Cluster:
    """
    The cluster under test, with the chart installed and models in its store.
    """

    kube: KubeClient

    async def deployments(self, name: str) -> dict[str, Any]:
        """
        List the pools' Deployments of a ModelDeployment by revision.
        """
        found = await self.children("/apis/apps/v1", "deployments", name)
        labels = [(item["metadata"]["labels"], item) for item in found]
        key = "serving.modeldeploy.io/revision"
        return {label[key]: item for label, item in labels if key in label}

    async def children(self, api: str, plural: str, name: str) -> list[dict[str, Any]]:
        """
        List what belongs to a ModelDeployment.
        """
        query = {"labelSelector": f"serving.modeldeploy.io/deployment={name}"}
        answer = await self.kube.get(f"{api}/namespaces/{NAMESPACE}/{plural}", query)
        items: list[dict[str, Any]] = answer["items"]
        return items

    async def pods(self, name: str, component: str) -> list[dict[str, Any]]:
        """
        List the pods of a ModelDeployment that are to stay.
        """
        pods = await self.children("/api/v1", "pods", name)
        return [
            pod
            for pod in pods
            if pod["metadata"]["labels"]["app.kubernetes.io/component"] == component
            and not pod["metadata"].get("deletionTimestamp")
        ]

    async def operator_pods(self) -> list[dict[str, Any]]:
        """
        List the operator's own pods.
        """
        path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods"
        answer = await self.kube.get(path, {"labelSelector": "app.kubernetes.io/name=modeldeploy"})
        pods: list[dict[str, Any]] = answer["items"]
        return pods


def play(scenario: Callable[[Cluster], Awaitable[None]]) -> None:
    """
    Run a scenario against the cluster that KUBECONFIG names.
    """

    async def connected() -> None:
        client = KubeClient(await kube.connect())
        try:
            await scenario(Cluster(client))
        finally:
            await client.close()

    asyncio.run(connected())


async def until(
    what: str, probe: Callable[[], Awaitable[Any]], seconds: float = 90, poll: float = POLL
) -> Any:
    """
    Wait until a probe returns something true, and return that.

    Raises:
        AssertionError: It did not within the time.

    """
    deadline = time.monotonic() + seconds
    while True:
        result = await probe()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds:g} s")
        await asyncio.sleep(poll)


@dataclass(slots=True)
class Deployed:
    """
    One ModelDeployment under test.
    """

    cluster: Cluster
    name: str

    @property
    def path(self) -> str:
        """
        The object's API path.
        """
        return f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{PLURAL}/{self.name}"

    async def read(self) -> dict[str, Any]:
        """
        Read the object.
        """
        return await self.cluster.kube.get(self.path)

    async def status(self) -> dict[str, Any]:
        """
        Read the status.
        """
        status: dict[str, Any] = (await self.read())["status"]
        return status

    async def condition(self, kind: str) -> dict[str, Any]:
        """
        Read a condition; an absent one is empty.
        """
        conditions = (await self.status()).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    async def patch(self, patch: dict[str, Any]) -> None:
        """
        Merge a change into the object, with kubectl, as a person would.
        """
        await kubectl("patch", PLURAL, self.name, "--type=merge", f"--patch={json.dumps(patch)}")

    async def want_version(self, version: int | str) -> None:
        """
        Ask for another version.
        """
        await self.patch({"spec": {"model": {"version": version}}})

    async def act(self, action: str) -> None:
        """
        Order an action, by annotation.
        """
        await kubectl("annotate", "--overwrite", PLURAL, self.name, f"{ACTION_ANNOTATION}={action}")

    async def host(self) -> str:
        """
        Find the address of the Service that clients use, once kube-proxy leads somewhere from it.
        """
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{self.name}"
        host: str = (await self.cluster.kube.get(path))["spec"]["clusterIP"]

        async def leads() -> bool:
            try:
                _, writer = await asyncio.open_connection(host, 8501)
            except OSError:
                return False
            writer.close()
            return True

        await until(f"a connection to {host}", leads, 30)
        return host

    async def revision(self, role: str) -> str:
        """
        Read the revision of a role; empty if there is none.
        """
        return str(((await self.status()).get(role) or {}).get("revision", ""))

    async def until_stable(self, version: int | str, seconds: float = 120) -> dict[str, Any]:
        """
        Wait until a version is stable and nothing is under way.
        """

        async def settled() -> dict[str, Any] | None:
            body = await self.read()
            status = body["status"]
            if status["observedGeneration"] != body["metadata"]["generation"]:
                return None
            kinds = {c["type"]: c["status"] for c in status["conditions"]}
            same = (status.get("stable") or {}).get("version") == str(version)
            quiet = "Reconciling" not in kinds and "canary" not in status
            return status if same and quiet and kinds["Ready"] == "True" else None

        status: dict[str, Any] = await self._until(
            f"{self.name} at version {version}", settled, seconds
        )
        return status

    async def until_weight(
        self, weight: str, version: int | None = None, seconds: float = 120
    ) -> dict[str, Any]:
        """
        Wait until the canary's effective weight is this, where asked for a canary of a version.
        """

        async def weighed() -> dict[str, Any] | None:
            canary: dict[str, Any] = (await self.status()).get("canary") or {}
            meant = version is None or canary.get("version") == str(version)
            weighs = canary.get("weight", {}).get("effective") == weight
            return canary if meant and weighs else None

        canary: dict[str, Any] = await self._until(f"{self.name} at {weight}", weighed, seconds)
        return canary

    async def until_condition(
        self, kind: str, status: str, reason: str, seconds: float = 120
    ) -> dict[str, Any]:
        """
        Wait until a condition about the present generation stands with this reason.
        """

        async def stands() -> dict[str, Any] | None:
            body = await self.read()
            meant = (kind, status, reason, body["metadata"]["generation"])
            for found in body["status"].get("conditions", []):
                said = (found["type"], found["status"], found["reason"])
                if (*said, found["observedGeneration"]) == meant:
                    return dict(found)
            return None

        found: dict[str, Any] = await self._until(f"{self.name} {kind} {reason}", stands, seconds)
        return found

    async def until_outcome(self, outcome: str, seconds: float = 120) -> dict[str, Any]:
        """
        Wait until the newest chapter of the history has this outcome and no canary is left.
        """

        async def told() -> dict[str, Any] | None:
            status = await self.status()
            newest: dict[str, Any] = (status.get("history") or [{}])[0]
            done = newest.get("outcome") == outcome and "canary" not in status
            pools = len(await self.cluster.deployments(self.name))
            return newest if done and pools == 1 else None

        newest: dict[str, Any] = await self._until(f"{self.name} {outcome}", told, seconds)
        return newest

    async def _until(self, what: str, probe: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        try:
            return await until(what, probe, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; its status is {await self.status()}") from None

    async def delete(self) -> None:
        """
        Delete the object, and wait until nothing of it is left.
        """
        await kubectl("delete", PLURAL, self.name, "--ignore-not-found", "--wait=false")

        async def gone() -> bool:
            try:
                await self.read()
            except GoneError:
                return not await self.cluster.children("/apis/apps/v1", "deployments", self.name)
            return False

        await until(f"{self.name} is gone", gone)


async def kubectl(*args: str, stdin: str | None = None) -> str:
    """
    Run kubectl in the tests' namespace.

    Raises:
        AssertionError: It failed; the error is in the message.

    """
    done = await asyncio.to_thread(
        subprocess.run,
        ["kubectl", f"--namespace={NAMESPACE}", *args],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"kubectl {args[0]}: {done.stderr.strip()}"
    return done.stdout


def devcluster(*arguments: str) -> None:
    """
    Run the command of the embedded cluster.

    Raises:
        AssertionError: It failed; the error is in the message.

    """
    command = [str(Path(sys.executable).with_name("devcluster")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"devcluster {' '.join(arguments)}: {done.stderr.strip()}"


def manifest(name: str, version: int | str = 1, **spec: Any) -> dict[str, Any]:
    """
    Build a ModelDeployment that asks for little, as the cluster is small.
    """
    model = {"name": MODEL, "uri": f"s3://models/{MODEL}", "secretName": "s3-models"}
    little = {"requests": {"cpu": "10m", "memory": "64Mi"}}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {**model, "version": version},
            "replicas": 1,
            "resources": little,
            "traffic": {"router": {"resources": little}},
            **spec,
        },
    }


async def apply(cluster: Cluster, body: dict[str, Any]) -> Deployed:
    """
    Apply a ModelDeployment with kubectl.
    """
    await kubectl("apply", "-f", "-", stdin=json.dumps(body))
    return Deployed(cluster, body["metadata"]["name"])


async def given(cluster: Cluster, name: str, version: int = 1, **spec: Any) -> Deployed:
    """
    Bring a ModelDeployment to rest at a version, whatever it was before.
    """
    deployed = await apply(cluster, manifest(name, version, **spec))
    await deployed.until_stable(version)
    return deployed


def processes_of(pod: dict[str, Any], program: str) -> list[int]:
    """
    Find the processes of a pod on this machine by the pod's uid; only those of a given program.
    """
    uid = pod["metadata"]["uid"]
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            inside = uid in (folder / "cgroup").read_text().replace("_", "-")
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if inside and program.encode() in words:
            found.append(int(folder.name))
    return found
