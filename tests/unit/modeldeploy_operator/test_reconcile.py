"""
Whole passes against a small API server in memory, with pods that answer over HTTP.
"""

import copy
import json
from dataclasses import replace
from typing import Any

import prometheus_client
import pytest

from modeldeploy_operator.cluster.apply import Applier
from modeldeploy_operator.cluster.port import (
    ConflictError,
    NameTakenError,
    ObjectGoneError,
    RefusedError,
)
from modeldeploy_operator.evidence.looks import Looks
from modeldeploy_operator.reconcile import reconcile
from modeldeploy_operator.telemetry.events import Recorder
from modeldeploy_operator.telemetry.metrics import Metrics
from testkit.fake_kube import FakeKube
from testkit.objects import OWNER, PATH
from testkit.small_cluster import Cluster, revision_of

SERVICE = "/api/v1/namespaces/vision/services/mnist"


async def test_a_first_deploy_comes_to_rest(cluster: Cluster) -> None:
    """
    From an object alone come its router, its pool and its status, until it is Ready.
    """
    cluster.want()
    await cluster.rest()
    assert cluster.told() == {"Ready": "Serving", "Promoted": "Promoted"}
    assert cluster.status["stable"]["version"] == "1"
    assert cluster.status["url"] == "http://mnist.vision.svc:8501"
    assert cluster.kube.named("mnist-router") == [
        "deployments",
        "poddisruptionbudgets",
        "rolebindings",
        "roles",
        "serviceaccounts",
    ]
    revision = revision_of(1)
    assert cluster.kube.named(f"mnist-{revision}") == [
        "configmaps",
        "deployments",
        "poddisruptionbudgets",
        "services",
    ]
    assert cluster.kube.named(f"mnist-{revision}-1") == ["controllerrevisions"]
    assert cluster.events() == ["Promoted"]


async def test_the_status_is_written_before_the_effects(cluster: Cluster) -> None:
    """
    What must be remembered is safe before anything is done.
    """
    cluster.want()
    await cluster.look()
    writes = cluster.since()
    assert writes[0] == ("PUT", f"{PATH}/status")
    assert writes.count(("PUT", f"{PATH}/status")) == 1
    # What the pods need, and only once, is made; everything else is applied.
    assert writes[1:3] == [
        ("POST", "/api/v1/namespaces/vision/secrets/mnist-control"),
        ("POST", "/api/v1/namespaces/vision/secrets/mnist-encryption"),
    ]
    assert all(method == "PATCH" for method, _ in writes[3:])


async def test_an_unchanged_object_is_not_written_to(cluster: Cluster) -> None:
    """
    At rest, a look writes nothing: no status, no child, no event.
    """
    cluster.want()
    await cluster.rest()
    cluster.since()
    for _ in range(3):
        assert not await cluster.look()
    assert cluster.since() == []


async def test_a_status_that_somebody_changed_in_between_is_a_conflict(cluster: Cluster) -> None:
    """
    The write carries the version that was read; the late one of two operators does nothing.
    """
    cluster.want()
    stale = await cluster.kube.get(PATH)
    cluster.want(replicas=2)
    late = _Late(cluster.kube, stale)
    tools = replace(cluster.tools, kube=late, applier=Applier(late))
    with pytest.raises(ConflictError):
        await reconcile(tools, OWNER.namespace, OWNER.name)
    assert cluster.since() == []


class _Late(FakeKube):
    """
    A view of an API server whose ModelDeployment was read too early.
    """

    def __init__(self, kube: FakeKube, stale: dict[str, Any]) -> None:
        super().__init__()
        self.objects, self.writes, self._stale = kube.objects, kube.writes, stale

    async def get(self, path: str, query: Any = None) -> dict[str, Any]:
        """
        Answer with what was read too early.
        """
        return copy.deepcopy(self._stale) if path == PATH else await super().get(path, query)


@pytest.mark.requirement("row-14")
async def test_a_canary_goes_to_its_promotion(cluster: Cluster) -> None:
    """
    A new version goes through its steps, and what it replaced is removed, its record apart.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2, rollout={"steps": [{"weight": 10}, {"weight": 50}]})
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"
    assert [entry["outcome"] for entry in cluster.status["history"]] == ["Promoted", "Promoted"]
    assert set(cluster.kube.named(f"mnist-{revision_of(1)}")) == {"configmaps"}
    assert set(cluster.kube.named(f"mnist-{revision_of(1)}-1")) == {"controllerrevisions"}
    assert cluster.events().count("WeightChanged") == 3


async def test_weight_waits_for_late_routers(cluster: Cluster) -> None:
    """
    While routers confirm nothing, a canary goes no further, and the status tells wish from fact.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2, rollout={"steps": [{"weight": 10}]})
    await cluster.look()
    cluster.pods.lag = True
    for _ in range(4):
        await cluster.look()
    assert cluster.told()["Reconciling"] == "AwaitingWeight"
    assert cluster.status["canary"]["weight"] == {"desired": "10%", "effective": "0%"}
    cluster.pods.lag = False
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"


@pytest.mark.requirement("row-7")
@pytest.mark.requirement("row-14")
async def test_a_slow_canary_is_taken_back_by_its_check(cluster: Cluster) -> None:
    """
    What the pods have counted goes through the whole pass to the verdict and the status.
    """
    cluster.want()
    await cluster.rest()
    check = {"name": "slow", "latency": {"max": "1s", "share": "1%"}}
    analysis = {"checks": [check], "interval": "0s", "minRequests": 1_000_000}
    steps = [{"weight": 10}]
    cluster.want(2, rollout={"steps": steps, "analysis": analysis})
    for _ in range(12):
        await cluster.look()
    assert cluster.told()["Reconciling"] == "AwaitingRequests"
    (told,) = cluster.status["canary"]["checks"]
    assert (told["name"], told["verdict"], told["threshold"]) == ("slow", "Waiting", "1.00%")
    cluster.pods.slow[revision_of(2)] = 0.5
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "1"
    assert cluster.told()["Stalled"] == "CheckFailed"
    assert "took longer than 1 s" in cluster.status["history"][0]["message"]


async def test_a_model_that_cannot_be_loaded_is_told_in_its_servers_words(cluster: Cluster) -> None:
    """
    The server's own error becomes the condition, the event and the history; stable goes on.
    """
    cluster.want()
    await cluster.rest()
    cluster.pods.broken[revision_of(2)] = "Op type not registered"
    cluster.want(2)
    await cluster.rest()
    assert cluster.told() == {
        "Ready": "Serving",
        "Promoted": "ModelUnusable",
        "Stalled": "ModelUnusable",
    }
    assert "Op type not registered" in cluster.status["history"][0]["message"]
    assert cluster.status["stable"]["version"] == "1"
    assert "ModelUnusable" in cluster.events()


async def test_generations_only_grow(cluster: Cluster) -> None:
    """
    A routing ConfigMap that somebody deleted comes back under a number that no router has seen.

    With a smaller one, routers that have yet to apply it count as having confirmed it.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2)
    await cluster.rest()
    path = "/api/v1/namespaces/vision/configmaps/mnist-routing"
    before = json.loads(cluster.kube.objects.pop(path)["data"]["routing.json"])["generation"]
    await cluster.look()
    after = json.loads(cluster.kube.objects[path]["data"]["routing.json"])["generation"]
    assert after > before


async def test_a_taken_name_stalls_and_touches_nothing(cluster: Cluster) -> None:
    """
    An object of a planned name that is not ours is left alone, and the status names it.
    """
    cluster.kube.put(SERVICE, {"metadata": {"name": "mnist"}, "spec": {"mine": True}})
    cluster.want()
    with pytest.raises(NameTakenError):
        await cluster.look()
    assert cluster.told()["Stalled"] == "NameTaken"
    assert "Reconciling" not in cluster.told()
    assert "A Service named mnist exists" in str(cluster.status["conditions"])
    assert cluster.events() == ["NameTaken"]
    assert cluster.kube.objects[SERVICE]["spec"] == {"mine": True}
    del cluster.kube.objects[SERVICE]
    await cluster.rest()
    assert cluster.told() == {"Ready": "Serving", "Promoted": "Promoted"}


async def test_a_name_that_stays_taken_is_written_once(cluster: Cluster) -> None:
    """
    As long as nothing changes, a second look at a taken name writes no status.

    Each write is an event that asks for another look, so that anything else spins.
    """
    cluster.kube.put(SERVICE, {"metadata": {"name": "mnist"}, "spec": {"mine": True}})
    cluster.want()
    for _ in range(2):
        with pytest.raises(NameTakenError):
            await cluster.look()
    cluster.since()
    with pytest.raises(NameTakenError):
        await cluster.look()
    assert cluster.since() == []


async def test_what_is_gone_or_going_is_left_alone(cluster: Cluster) -> None:
    """
    No object, or one that is being deleted, asks for nothing; the garbage collector does the rest.
    """
    with pytest.raises(ObjectGoneError):
        await cluster.look()
    cluster.want()
    cluster.kube.objects[PATH]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not await cluster.look()
    assert cluster.since() == []


async def test_a_refusal_of_the_api_server_is_told_and_keeps_nothing_else_back(
    cluster: Cluster,
) -> None:
    """
    An object that the API server will not have stalls with its words; the others are applied.
    """
    cluster.want()
    cluster.kube.refuse("PATCH", SERVICE, RefusedError("quota"))
    for _ in range(2):
        with pytest.raises(RefusedError, match="quota"):
            await cluster.look()
    assert cluster.told()["Stalled"] == "ApplyRefused"
    assert "deployments" in cluster.kube.named("mnist-router")
    cluster.kube.refusals.clear()
    await cluster.rest()
    assert cluster.told()["Ready"] == "Serving"
    assert "Stalled" not in cluster.told()


async def test_an_operator_that_restarts_goes_on_where_it_stood(cluster: Cluster) -> None:
    """
    Every pass of a whole canary may be another process's: nothing is kept outside the cluster.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2, rollout={"steps": [{"weight": 10}]})
    for _ in range(40):
        cluster.tools = replace(
            cluster.tools,
            applier=Applier(cluster.kube),
            recorder=Recorder(cluster.kube),
            metrics=Metrics(prometheus_client.CollectorRegistry()),
            looks=Looks(),
        )
        if not await cluster.look():
            break
    assert cluster.status["stable"]["version"] == "2"
    assert cluster.told() == {"Ready": "Serving", "Promoted": "Promoted"}


async def test_an_object_that_is_gone_leaves_no_series(cluster: Cluster) -> None:
    """
    The metrics of a deleted object are dropped.
    """
    cluster.want()
    await cluster.rest()
    labels = {"namespace": "vision", "name": "mnist"}
    name = "modeldeploy_canary_weight_ratio"
    assert cluster.registry.get_sample_value(name, labels) == 0
    del cluster.kube.objects[PATH]
    with pytest.raises(ObjectGoneError):
        await cluster.look()
    assert cluster.registry.get_sample_value(name, labels) is None


async def test_a_finished_rollout_is_counted_once(cluster: Cluster) -> None:
    """
    A promotion adds one to the counter of its outcome, however often it is looked at.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2)
    await cluster.rest()
    await cluster.look()
    labels = {"namespace": "vision", "name": "mnist", "outcome": "Promoted"}
    counted = cluster.registry.get_sample_value("modeldeploy_rollout_finished_total", labels)
    assert counted == 2


async def test_a_stored_spec_that_cannot_be_read_is_told(cluster: Cluster) -> None:
    """
    A spec that a later or earlier schema let in stalls with the field's name; pods go on.
    """
    cluster.want()
    await cluster.rest()
    cluster.kube.objects[PATH]["spec"]["replicas"] = "many"
    assert not await cluster.look()
    stalled = next(c for c in cluster.status["conditions"] if c["type"] == "Stalled")
    assert stalled["reason"] == "InvalidSpec"
    assert "spec.replicas" in stalled["message"]


async def test_pods_of_a_deleted_predecessor_do_not_count(cluster: Cluster) -> None:
    """
    Pods that are older than the object are another's, though their labels are the same.
    """
    cluster.want()
    cluster.kube.objects[PATH]["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    for _ in range(5):
        await cluster.look()
    assert "stable" not in cluster.status
