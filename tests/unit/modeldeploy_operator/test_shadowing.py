"""
Stable's pods are told whom to ask the same, in whole passes over a small cluster.
"""

import base64
from dataclasses import replace
from typing import Any

import pytest

from modeldeploy_operator.cluster.certificates import Authority
from modeldeploy_operator.cluster.port import ClusterError, NotLeadingError
from modeldeploy_operator.cluster.shadowing import NO_PORT, Shadowing
from modeldeploy_operator.cluster.tokens import Tokens, find_key
from modeldeploy_operator.evidence.looks import Looks
from modeldeploy_operator.manifests import shadow
from testkit.objects import OWNER
from testkit.small_cluster import Cluster, revision_of

PATH = "/api/v1/namespaces/vision/secrets/mnist-control"
DRIFT = {"name": "drift", "shadow": {"percent": 10, "tolerance": 0.01, "maxMismatch": "1%"}}
ERRORS = {"name": "errors", "errorRate": {"max": "10%"}}


def _rollout(*checks: dict[str, Any], **step: Any) -> dict[str, Any]:
    return {
        "steps": [{"weight": 0, **step}],
        "analysis": {"interval": "0s", "minRequests": 100, "checks": [DRIFT, *checks]},
    }


async def _until(cluster: Cluster, reason: str, looks: int = 40) -> None:
    for _ in range(looks):
        if cluster.told().get("Reconciling") == reason:
            return
        await cluster.look()
    raise AssertionError(cluster.status["conditions"])


def _check(cluster: Cluster) -> dict[str, Any]:
    checks: list[dict[str, Any]] = cluster.status["canary"]["checks"]
    return next(check for check in checks if check["name"] == "drift")


async def test_each_deployment_has_a_secret_that_is_made_once(cluster: Cluster) -> None:
    """
    It is there before the pods that mount it, belongs to the object, and stays what it is.
    """
    cluster.want()
    await cluster.look()
    paths = [path for _, path in cluster.since()]
    pool = f"mnist-{revision_of(1)}"
    assert paths.index(PATH) < paths.index(f"/apis/apps/v1/namespaces/vision/deployments/{pool}")
    made = cluster.kube.objects[PATH]
    assert made["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid
    assert len(base64.b64decode(made["data"]["token"])) == 64
    shadowing = Shadowing(cluster.tools.probe, Tokens(cluster.kube, b"key"))
    cluster.tools = replace(cluster.tools, shadowing=shadowing)
    await cluster.rest()
    cluster.want(2)
    await cluster.rest()
    assert cluster.kube.objects[PATH]["data"] == made["data"]


async def test_a_secret_that_was_removed_is_made_anew_for_new_pods(cluster: Cluster) -> None:
    """
    While all pods are ready nobody asks for it.
    """
    cluster.want()
    await cluster.rest()
    del cluster.kube.objects[PATH]
    await cluster.look()
    assert PATH not in cluster.kube.objects
    cluster.want(replicas=3)
    await cluster.look(settle=False)
    await cluster.look(settle=False)
    assert PATH in cluster.kube.objects


async def test_an_equal_canary_passes_before_it_gets_traffic(cluster: Cluster) -> None:
    """
    Stable's pods are told once, the figures are in the status, and nobody is asked in the end.
    """
    cluster.want(replicas=2)
    await cluster.rest()
    cluster.want(2, replicas=2, rollout=_rollout(ERRORS, hold="1h"))
    await _until(cluster, "Holding")
    await cluster.look()
    await cluster.look()
    puts = [address for method, address in cluster.pods.told if method == "PUT"]
    assert len(puts) == 2
    assert set(puts) == set(cluster.pods.targets)
    (target, _) = cluster.pods.targets.values()
    assert target["address"] == f"mnist-{revision_of(2)}.vision.svc:8506"
    assert target["server_name"] == "mnist.vision.svc"
    assert target["root_certificates"] == Authority(b"key").certificate
    assert (target["model"], target["percent"], target["tolerance"]) == ("mnist", 10.0, 0.01)
    check = _check(cluster)
    assert (check["verdict"], check["value"], check["threshold"]) == ("Passing", "0.00%", "1.00%")
    assert "Largest difference 0.75, mean 0" in check["message"]
    assert "1.50 times stable's latency" in check["message"]
    assert cluster.status["canary"]["weight"]["effective"] == "0%"
    cluster.annotate(f"promote@{revision_of(2)}")
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"
    assert cluster.pods.told[-1][0] in ("GET", "DELETE")


async def test_a_drifting_canary_is_aborted_before_it_gets_traffic(cluster: Cluster) -> None:
    """
    The message holds the figures; stable's pods ask nobody any more.
    """
    cluster.want()
    await cluster.rest()
    cluster.pods.mismatching[revision_of(2)] = 0.5
    cluster.want(2, rollout=_rollout(hold="1h"))
    await cluster.rest()
    chapter = cluster.status["history"][0]
    assert (chapter["outcome"], cluster.told()["Stalled"]) == ("Aborted", "CheckFailed")
    assert "compared requests were answered otherwise than by stable (50.00%)" in chapter["message"]
    assert cluster.pods.targets == {}


async def test_a_blue_green_candidate_is_compared_before_the_switch(cluster: Cluster) -> None:
    """
    A drifting one is never switched to; an equal one is once it was compared often enough.
    """
    analysis = {"interval": "0s", "minRequests": 100, "checks": [DRIFT]}
    rollout = {"strategy": "BlueGreen", "analysis": analysis, "blueGreen": {"hold": "1h"}}
    cluster.want(replicas=2, rollout=rollout)
    await cluster.rest()
    cluster.pods.mismatching[revision_of(2)] = 0.5
    cluster.want(2, replicas=2, rollout=rollout)
    while await cluster.look():
        assert (cluster.status.get("canary") or {}).get("weight", {}).get("desired") != "100%"
    assert cluster.status["history"][0]["outcome"] == "Aborted"
    cluster.want(3, replicas=2, rollout=rollout)
    await _until(cluster, "Holding")
    assert cluster.status["canary"]["weight"]["effective"] == "100%"
    assert _check(cluster)["samples"] >= 100


async def test_without_comparisons_a_step_without_traffic_waits(cluster: Cluster) -> None:
    """
    A check that needs clients' requests waits for none there; a shadow does.
    """
    cluster.want()
    await cluster.rest()
    cluster.pods.deaf = True
    cluster.want(2, rollout=_rollout(ERRORS))
    await _until(cluster, "CheckUnmeasured")
    check = _check(cluster)
    assert check["verdict"] == "Unmeasured"
    assert "refuses the operator's token" in check["message"]
    cluster.pods.deaf = False
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"


async def test_another_image_as_stable_cannot_be_measured(cluster: Cluster) -> None:
    """
    It has no control port: the message names what is missing, and no such pod is asked.
    """
    cluster.want(server={"image": "tensorflow/serving:2.18.0"})
    await cluster.rest()
    assert PATH not in cluster.kube.objects
    cluster.want(2, server={"image": "tensorflow/serving:2.18.0"}, rollout=_rollout())
    await _until(cluster, "CheckUnmeasured")
    assert NO_PORT in _check(cluster)["message"]
    assert cluster.pods.told == []


async def test_a_target_that_a_former_operator_left_is_taken_away(cluster: Cluster) -> None:
    """
    Pods are asked once after a start, and not in every pass.
    """
    cluster.want()
    await cluster.rest()
    (address,) = [o["status"]["podIP"] for o in cluster.kube.objects.values() if _serves(o)]
    cluster.pods.targets[address] = {"name": "old-1"}
    await cluster.look()
    assert address in cluster.pods.targets
    shadowing = Shadowing(cluster.tools.probe, Tokens(cluster.kube, b"key"))
    cluster.tools = replace(cluster.tools, looks=Looks(), shadowing=shadowing)
    await cluster.look()
    assert cluster.pods.targets == {}
    asked = len(cluster.pods.told)
    await cluster.look()
    assert len(cluster.pods.told) == asked


async def test_an_operator_that_does_not_lead_tells_no_pod(cluster: Cluster) -> None:
    """
    One that was paused and wakes leaves the pods to the operator that leads now.
    """

    def refuse() -> None:
        raise NotLeadingError("another one leads")

    cluster.want()
    await cluster.rest()
    (address,) = [o["status"]["podIP"] for o in cluster.kube.objects.values() if _serves(o)]
    cluster.pods.targets[address] = {"name": "of-the-leader"}
    asleep = Shadowing(cluster.tools.probe, Tokens(cluster.kube, b"key"), refuse)
    cluster.tools = replace(cluster.tools, looks=Looks(), shadowing=asleep)
    with pytest.raises(NotLeadingError):
        await cluster.look()
    assert cluster.pods.targets == {address: {"name": "of-the-leader"}}


def _serves(manifest: dict[str, Any]) -> bool:
    return "serving.modeldeploy.io/revision" in manifest["metadata"].get("labels", {}) and (
        "podIP" in manifest.get("status", {})
    )


async def test_pods_with_another_secret_refuse_and_it_may_be_made_anew(cluster: Cluster) -> None:
    """
    One that somebody else made, or a key that was lost: the message says what to do.
    """
    cluster.kube.put(PATH, shadow.build_secret(OWNER, "another"))
    cluster.want()
    await cluster.rest()
    cluster.want(2, rollout=_rollout())
    await _until(cluster, "CheckUnmeasured")
    assert "delete the Secret mnist-control, which is made anew" in _check(cluster)["message"]
    del cluster.kube.objects[PATH]
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"


async def test_the_key_is_made_at_the_first_start_and_read_at_later_ones(cluster: Cluster) -> None:
    """
    One that is no key is told; outside a cluster each operator has its own.
    """
    kube = cluster.kube
    key = await find_key(kube, "system", "key")
    assert (len(key), await find_key(kube, "system", "key")) == (32, key)
    path = "/api/v1/namespaces/system/secrets/key"
    stored, kube.objects[path]["data"] = kube.objects[path], {}
    with pytest.raises(ClusterError, match="holds no key of the operator"):
        await find_key(kube, "system", "key")
    assert stored["metadata"]["name"] == "key"
    assert await find_key(kube, "", "key") != await find_key(kube, "", "key")
