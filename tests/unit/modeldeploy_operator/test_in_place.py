"""
InPlace with a whole operator: versions come and go on a list, and the Deployment stays as it is.
"""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from modeldeploy_operator.resource import revisions
from testkit.objects import OWNER, a_spec
from testkit.small_cluster import Cluster, small_cluster

ROLLOUT = {"strategy": "InPlace", "steps": [{"weight": 50, "approval": True}]}


def revision_of(version: int, **changes: Any) -> str:
    """
    Return the revision that a version makes.
    """
    return revisions.revision_of(a_spec(version, **changes), OWNER.name).revision


V1, V2 = revision_of(1), revision_of(2)
HOME = f"p{V1}"


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """
    Version 1 stands in two shared pods.
    """
    async with small_cluster(tmp_path) as small:
        small.want(1, replicas=2, rollout=ROLLOUT)
        await small.rest()
        yield small


def deployment(cluster: Cluster, name: str = HOME) -> dict[str, Any]:
    """
    Read the Deployment of shared pods.
    """
    path = f"/apis/apps/v1/namespaces/vision/deployments/mnist-{name}"
    return copy.deepcopy(cluster.kube.objects[path])


def listed(cluster: Cluster, name: str = HOME) -> dict[str, Any]:
    """
    Read the list of versions.
    """
    path = f"/api/v1/namespaces/vision/configmaps/mnist-{name}-versions"
    data: dict[str, Any] = cluster.kube.objects[path]["data"]
    return data


def versions(cluster: Cluster, name: str = HOME) -> list[str]:
    """
    Read which versions are on the list.
    """
    return [entry["version"] for entry in entries(cluster, name)]


def entries(cluster: Cluster, name: str = HOME) -> list[dict[str, Any]]:
    """
    Read the list of versions as it stands.
    """
    found: list[dict[str, Any]] = json.loads(listed(cluster, name)["versions.json"])["versions"]
    return found


def routing(cluster: Cluster) -> dict[str, Any]:
    """
    Read the routing configuration.
    """
    path = "/api/v1/namespaces/vision/configmaps/mnist-routing"
    content: dict[str, Any] = json.loads(cluster.kube.objects[path]["data"]["routing.json"])
    return content


async def until(cluster: Cluster, reason: str) -> None:
    """
    Look until a gate decides.
    """
    for _ in range(30):
        await cluster.look()
        if cluster.told().get("Promoted") == reason:
            return
    raise AssertionError(cluster.status["conditions"])


async def test_a_version_is_tried_and_promoted_in_the_pods_that_run(cluster: Cluster) -> None:
    """
    The list grows and shrinks, the router tells the versions apart, and the Deployment stays.
    """
    before = deployment(cluster)
    assert versions(cluster) == ["1"]
    cluster.want(2, replicas=2, rollout=ROLLOUT)
    await until(cluster, "AwaitingApproval")
    assert sorted(versions(cluster)) == ["1", "2"]
    slots = routing(cluster)["slots"]
    assert {slot["service"] for slot in slots.values()} == {f"mnist-{HOME}"}
    assert all(slot["shared"] for slot in slots.values())
    assert {slot["version"] for slot in slots.values()} == {"1", "2"}
    canary = cluster.status["canary"]
    assert (canary["readyReplicas"], canary["weight"]["effective"]) == (2, "50%")
    assert cluster.status["replicas"] == 2
    told = {entry["version"]: entry for entry in entries(cluster)}
    assert told["2"]["against"] == f"interface-{V2}.json"
    assert "signature_def" in listed(cluster)[told["2"]["against"]]
    assert told["2"]["digest"] == f"sha256:of-{V2}"

    cluster.annotate(f"approve@{V2}/1")
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"
    assert versions(cluster) == ["2"]
    assert deployment(cluster) == before
    assert cluster.since()
    await cluster.look()
    assert cluster.since() == []


async def test_pods_that_have_not_read_the_list_are_made_to(cluster: Cluster) -> None:
    """
    An annotation brings the kubelet to it; none that is up to date gets one.
    """
    assert not any("/pods/" in path for _, path in cluster.since())
    cluster.pods.unread = entries(cluster)
    cluster.want(2, replicas=2, rollout=ROLLOUT)
    await until(cluster, "AwaitingApproval")
    marked = [path for method, path in cluster.since() if "/pods/" in path and method == "PATCH"]
    assert len(set(marked)) == 2
    await cluster.look()
    assert not any("/pods/" in path for _, path in cluster.since())
    assert all(f"mnist-{HOME}-" in path for path in marked)


@pytest.mark.parametrize(
    ("kind", "reason"), [("broken", "OutOfMemory"), ("refused", "VersionNotFound")]
)
async def test_a_version_that_cannot_be_held_leaves_the_pods(
    cluster: Cluster, kind: str, reason: str
) -> None:
    """
    Too little memory and a missing version end the rollout at once; the served version stays.
    """
    before = deployment(cluster)
    report = {"code": "VersionNotFound", "permanent": True, "message": "There is none."}
    getattr(cluster.pods, kind)[V2] = report if kind == "refused" else "It needs 9 MiB."
    cluster.want(2, replicas=2, rollout=ROLLOUT)
    await cluster.rest()
    assert cluster.told()["Stalled"] == reason
    assert versions(cluster) == ["1"]
    assert deployment(cluster) == before
    assert cluster.status["stable"]["readyReplicas"] == 2


async def test_what_is_no_version_gets_pods_of_its_own(cluster: Cluster) -> None:
    """
    Other resources replace the pods one by one, and versions change inside the new ones.
    """
    other = {"requests": {"memory": "2Gi"}}
    changes: dict[str, Any] = {"replicas": 2, "rollout": ROLLOUT, "resources": other}
    cluster.want(1, **changes)
    await cluster.rest(80)
    home = f"p{revision_of(1, resources=other)}"
    assert cluster.kube.named(f"mnist-{HOME}") == []
    assert versions(cluster, home) == ["1"]
    cluster.want(2, **changes)
    await until(cluster, "AwaitingApproval")
    assert sorted(versions(cluster, home)) == ["1", "2"]


async def test_another_strategy_leaves_the_pods_that_run(cluster: Cluster) -> None:
    """
    A change of the strategy alone restarts nothing; the next version gets pods of its own.
    """
    before = deployment(cluster)
    cluster.want(1, replicas=2)
    await cluster.rest()
    assert deployment(cluster) == before
    cluster.want(2, replicas=2)
    await cluster.rest()
    assert cluster.kube.named(f"mnist-{HOME}") == []
    assert "deployments" in cluster.kube.named(f"mnist-{V2}")


async def test_an_undo_goes_back_inside_the_pods(cluster: Cluster) -> None:
    """
    The kept revision is loaded again beside the one that is taken back.
    """
    before = deployment(cluster)
    cluster.want(2, replicas=2, rollout={"strategy": "InPlace"})
    await cluster.rest()
    cluster.annotate(f"undo@{V1}")
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "1"
    assert versions(cluster) == ["1"]
    assert deployment(cluster) == before


async def test_zero_and_back_loads_what_is_wanted(cluster: Cluster) -> None:
    """
    A version that is wanted while nothing runs is on the list when the pods come back.
    """
    cluster.want(1, replicas=0, rollout=ROLLOUT)
    await cluster.rest()
    cluster.want(2, replicas=0, rollout=ROLLOUT)
    await cluster.rest()
    cluster.want(2, replicas=2, rollout=ROLLOUT)
    await cluster.rest()
    assert (cluster.status["stable"]["version"], versions(cluster)) == ("2", ["2"])
    assert cluster.status["stable"]["readyReplicas"] == 2
