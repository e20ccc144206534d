"""
A whole operator without Kubernetes.

Its passes run against a small API server in memory, with pods that answer over HTTP.
"""

import contextlib
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import prometheus_client
from aiohttp import web

from modeldeploy_operator.cluster import secrets
from modeldeploy_operator.cluster.apply import Applier
from modeldeploy_operator.cluster.shadowing import Shadowing
from modeldeploy_operator.cluster.tokens import Tokens
from modeldeploy_operator.evidence.external.asking import Asker
from modeldeploy_operator.evidence.external.measuring import Measurer
from modeldeploy_operator.evidence.looks import Looks
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.reconcile import Tools, reconcile
from modeldeploy_operator.resource import revisions
from modeldeploy_operator.telemetry.events import Recorder
from modeldeploy_operator.telemetry.metrics import Metrics
from testkit.fake_kube import FakeKube, FakePods
from testkit.objects import IMAGES, OWNER, PATH, a_spec, an_object


@dataclass
class Cluster:
    """
    The API server, its pods, and an operator that can be asked for a pass.
    """

    kube: FakeKube
    pods: FakePods
    tools: Tools
    registry: prometheus_client.CollectorRegistry
    noted: int = field(default=0)

    def want(self, version: int | str = 1, **changes: Any) -> None:
        """
        Write the object, as a user does.
        """
        before = self.kube.objects.get(PATH)
        wanted = an_object(version, **changes)
        if before:
            wanted = {**before, "spec": wanted["spec"]}
        self.kube.put(PATH, wanted)

    def annotate(self, action: str) -> None:
        """
        Give an action.
        """
        body = copy.deepcopy(self.kube.objects[PATH])
        body["metadata"]["annotations"] = {"serving.modeldeploy.io/action": action}
        self.kube.put(PATH, body)

    async def look(self, *, settle: bool = True) -> bool:
        """
        Run one pass, then let the pods follow; return whether another look was asked for.
        """
        again = await reconcile(self.tools, OWNER.namespace, OWNER.name)
        if settle:
            self.pods.settle()
        return again is not None

    async def rest(self, looks: int = 40) -> None:
        """
        Look until nothing is under way.
        """
        for _ in range(looks):
            if not await self.look():
                return
        raise AssertionError(f"no rest: {self.status['conditions']}")

    @property
    def status(self) -> dict[str, Any]:
        """
        The status as it is stored.
        """
        status: dict[str, Any] = self.kube.objects[PATH]["status"]
        return status

    def told(self) -> dict[str, str]:
        """
        Each condition that is there, with its reason.
        """
        return {c["type"]: c["reason"] for c in self.status["conditions"]}

    def events(self) -> list[str]:
        """
        The reasons of all events.
        """
        return [o["reason"] for o in self.kube.objects.values() if o.get("kind") == "Event"]

    def since(self) -> list[tuple[str, str]]:
        """
        The writes since the last time that somebody asked.
        """
        start, self.noted = self.noted, len(self.kube.writes)
        return self.kube.writes[start:]


@contextlib.asynccontextmanager
async def small_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """
    Set a cluster and an operator up.
    """
    kube = FakeKube()
    pods = FakePods(kube)
    runner = web.AppRunner(pods.app())
    await runner.setup()
    socket = str(folder / "pods")
    await web.UnixSite(runner, socket).start()
    registry = prometheus_client.CollectorRegistry()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as session:
        tools = Tools(
            kube=kube,
            probe=(probe := Probe(session)),
            applier=Applier(kube),
            recorder=Recorder(kube),
            metrics=Metrics(registry),
            images=IMAGES,
            looks=Looks(),
            measurer=Measurer(Asker(()), secrets.reader(kube), lambda *_: None),
            shadowing=Shadowing(probe, Tokens(kube, b"key")),
        )
        yield Cluster(kube, pods, tools, registry)
        await tools.measurer.close()
    await runner.cleanup()


def revision_of(version: int) -> str:
    """
    Return the name of the revision that a version makes.
    """
    return revisions.revision_of(a_spec(version), OWNER.name).revision
