"""
Real operator processes and a real API server: who acts, who waits, and what one that wakes may do.

The operators have the rights that the chart gives them, and no more.
"""

import asyncio
import json
import shutil
import signal
import time
import urllib.request
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Any

import pytest
from kubernetes.aio import client

from modeldeploy_operator.cluster import kube
from modeldeploy_operator.cluster.kube import KubeClient
from modeldeploy_operator.cluster.port import Manifest, Resource
from modeldeploy_operator.cluster.watching import cached, watch
from modeldeploy_operator.manifests import names
from testkit.control_plane import ControlPlane, control_plane, start_api_server
from testkit.objects import an_object

pytestmark = pytest.mark.timeout(180)

NAMESPACE = "vision"


class Counting(KubeClient):
    """
    Counts lists, and tells of each watch that is opened.
    """

    def __init__(self, api: client.ApiClient) -> None:
        super().__init__(api)
        self.gets = 0
        self.opened = asyncio.Semaphore(0)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Manifest:
        """
        Count a list.
        """
        self.gets += 1
        return await super().get(path, query)

    async def watch(
        self, path: str, query: Mapping[str, str], silence: float
    ) -> AsyncGenerator[Manifest, None]:
        """
        Tell of an opened watch.
        """
        async for event in super().watch(path, query, silence):
            self.opened.release()
            yield event


LEASE = "vision/operator"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """
    Run an API server with one ModelDeployment in it.
    """
    if shutil.which("etcd", path="/usr/bin:/usr/local/bin") is None:
        pytest.fail("etcd is missing; install it with `apt-get install etcd-server`")
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        running.install()
        running.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        _want(running, 1)
        yield running


@pytest.fixture
def operators(plane: ControlPlane) -> Iterator[Callable[[str], None]]:
    """
    Start operators by name, with one lease for all; they end with the test.
    """
    started = []

    def start(name: str) -> None:
        plane.start_operator(name, MODELDEPLOY_LEASE=LEASE)
        started.append(name)

    yield start
    for name in started:
        if name in plane.processes:
            plane.processes[name].send_signal(signal.SIGCONT)
            plane.stop(name)
        (plane.folder / f"{name}.log").unlink()


def _want(plane: ControlPlane, version: int, **changes: Any) -> None:
    body = an_object(version, **changes)
    body["metadata"] = {"name": "mnist", "namespace": NAMESPACE}
    plane.apply({key: body[key] for key in ("apiVersion", "kind", "metadata", "spec")})


def _until(what: str, condition: Callable[[], Any], seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:g} s"
        time.sleep(0.1)
    return found


def _leads(plane: ControlPlane, name: str) -> bool:
    return "This operator leads" in plane.log(name)


def _items(plane: ControlPlane) -> dict[str, Any]:
    """
    Read everything of the ModelDeployment, by kind and name.
    """
    kinds = "deployments,services,configmaps,controllerrevisions,roles,modeldeployments"
    answer = plane.kubectl("get", kinds, "-n", NAMESPACE, "-o", "json")
    ours = [item for item in json.loads(answer)["items"] if "mnist" in item["metadata"]["name"]]
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in ours}


def _versions(plane: ControlPlane) -> dict[str, str]:
    return {name: item["metadata"]["resourceVersion"] for name, item in _items(plane).items()}


def _made(plane: ControlPlane, replicas: int) -> bool:
    """
    Tell whether what is wanted now is there.
    """
    items = _items(plane)
    wanted = items["ModelDeployment/mnist"]
    told = (wanted.get("status") or {}).get("observedGeneration")
    sizes = [item["spec"]["replicas"] for item in items.values() if item["kind"] == "Deployment"]
    return told == wanted["metadata"]["generation"] and sorted(sizes) == sorted([2, replicas])


def _healthy(plane: ControlPlane, name: str) -> bool:
    url = f"http://127.0.0.1:{plane.ports[f'{name}-liveness']}/healthz"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)


def test_of_two_operators_one_acts_and_the_other_takes_over_at_once(
    plane: ControlPlane, operators: Callable[[str], None]
) -> None:
    """
    A leader that is told to stop gives its lease up; nobody waits for its end.
    """
    operators("first")
    _until("the first leads", lambda: _leads(plane, "first"))
    _until("all is made", lambda: _made(plane, 1))
    operators("second")
    _until("the second waits", lambda: "Waiting for the lease" in plane.log("second"))
    assert _healthy(plane, "first")
    assert _healthy(plane, "second")
    assert not _leads(plane, "second")
    stopped = time.monotonic()
    assert plane.stop("first") == 0
    _until("the second leads", lambda: _leads(plane, "second"))
    assert time.monotonic() - stopped < 8
    _want(plane, 1, replicas=3)
    _until("the second acts", lambda: _made(plane, 3))
    assert "forbidden" not in plane.log("first") + plane.log("second")


def test_a_leader_that_was_stopped_does_no_harm_when_it_wakes(
    plane: ControlPlane, operators: Callable[[str], None]
) -> None:
    """
    The other one goes on; the old one writes nothing more, says why, and ends.
    """
    operators("first")
    _until("the first leads", lambda: _leads(plane, "first"))
    _want(plane, 1, replicas=1)
    _until("all is made", lambda: _made(plane, 1))
    operators("second")
    _want(plane, 1, replicas=2)  # the first is in the middle of its work, or about to begin
    plane.processes["first"].send_signal(signal.SIGSTOP)
    _until("the second leads", lambda: _leads(plane, "second"))
    _until("the second acts", lambda: _made(plane, 2))
    _want(plane, 1, replicas=4)
    _until("the second goes on", lambda: _made(plane, 4))
    before = _versions(plane)
    plane.processes["first"].send_signal(signal.SIGCONT)
    _until("the first ends", lambda: plane.processes["first"].poll() is not None)
    assert plane.processes["first"].returncode == 1
    assert "lost its lease" in plane.log("first")
    assert _versions(plane) == before
    assert _made(plane, 4)


def test_what_somebody_deletes_is_made_again_at_once(
    plane: ControlPlane, operators: Callable[[str], None]
) -> None:
    """
    Every kind is watched: nobody waits for the next resync, five minutes later.
    """
    operators("first")
    _until("the first leads", lambda: _leads(plane, "first"))
    _until("all is made", lambda: _made(plane, 4))
    before = _items(plane)
    for name in ("Service/mnist", "Role/mnist-router", "ConfigMap/mnist-routing"):
        uid = before[name]["metadata"]["uid"]
        plane.kubectl("delete", "-n", NAMESPACE, name)

        def anew(name: str = name, uid: str = uid) -> bool:
            items = _items(plane)
            return name in items and items[name]["metadata"]["uid"] != uid

        _until(f"{name} is there again", anew, 10)


def test_an_operator_goes_on_after_the_api_server_was_away(
    plane: ControlPlane, operators: Callable[[str], None]
) -> None:
    """
    It stays alive meanwhile, keeps its lease where nobody took it, and hears what comes then.
    """
    operators("first")
    _until("the first leads", lambda: _leads(plane, "first"))
    _until("all is made", lambda: _made(plane, 4))
    plane.stop("kube-apiserver")
    _until("the watches break off", lambda: "broke off" in plane.log("first"))
    assert _healthy(plane, "first")
    start_api_server(plane, plane.address)
    _want(plane, 1, replicas=2)
    _until("it acts", lambda: _made(plane, 2), 60)
    assert plane.processes["first"].poll() is None
    assert plane.log("first").count("This operator leads") == 1


async def test_a_kind_of_which_there_is_nothing_to_tell_stays_known(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The API server may send no bookmark for hours: a watch is opened anew, and nothing is listed.
    """
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig()))
    monkeypatch.setattr(watch, "SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(cached, "STALE_SECONDS", 3.0)
    counting, jobs = Counting(await kube.connect()), Resource("batch/v1", "Job", "jobs")
    memory = cached.CachedKube(counting, counting, [jobs])
    watching = asyncio.create_task(memory.run())
    query = {"labelSelector": f"{names.DEPLOYMENT_LABEL}=mnist"}
    for _ in range(12):
        assert (await memory.get(jobs.path(NAMESPACE), query))["items"] == []
        await counting.opened.acquire()
    assert counting.gets == 1
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await counting.close()
