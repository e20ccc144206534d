"""
What a canary is compared with: read from stable once, kept beside the canary's pods, told.
"""

import json
from dataclasses import replace
from typing import Any

import aiohttp

from modeldeploy_operator.evidence.probe import Probe
from testkit.small_cluster import Cluster, revision_of

CONFIG_MAPS = "/api/v1/namespaces/vision/configmaps"
DIFFERENCE = 'It does not fit the clients of version 1: In the signature "serving_default" …'
REFUSED = {"code": "SignatureIncompatible", "permanent": True, "message": DIFFERENCE}


def _path(version: int) -> str:
    return f"{CONFIG_MAPS}/mnist-{revision_of(version)}-interface"


async def _stable(cluster: Cluster, **changes: Any) -> None:
    cluster.want(**changes)
    await cluster.rest()
    cluster.since()


async def test_the_interface_stands_before_the_first_pod(cluster: Cluster) -> None:
    """
    What stable's metadata route says is in the canary's immutable ConfigMap before its Deployment.
    """
    await _stable(cluster)
    cluster.want(2)
    await cluster.look()
    name = f"mnist-{revision_of(2)}"
    written = [p for _, p in cluster.since() if p.endswith((f"{name}-interface", f"nts/{name}"))]
    assert [path.rpartition("/")[2] for path in written] == [f"{name}-interface", name]
    record = cluster.kube.objects[_path(2)]
    assert record["immutable"]
    assert json.loads(record["data"]["metadata.json"])["model_spec"]["version"] == "1"
    assert _path(1) not in cluster.kube.objects


async def test_the_interface_lives_as_long_as_the_pool(cluster: Cluster) -> None:
    """
    A stable pod that starts again is compared with what the first one was, never with later ones.
    """
    await _stable(cluster)
    cluster.want(2)
    await cluster.rest()
    before = cluster.kube.objects[_path(2)]
    cluster.want(3)
    await cluster.look()
    assert cluster.kube.objects[_path(2)] == before
    await cluster.rest()
    assert _path(2) not in cluster.kube.objects
    assert _path(3) in cluster.kube.objects


async def test_an_incompatible_version_is_aborted_at_once(cluster: Cluster) -> None:
    """
    The difference is in the condition, the canary never had a share, and its interface is gone.
    """
    await _stable(cluster)
    cluster.pods.refused[revision_of(2)] = REFUSED
    cluster.want(2)
    for _ in range(20):
        await cluster.look()
        canary = cluster.status.get("canary", {"weight": {"desired": "0%", "effective": "0%"}})
        assert canary["weight"] == {"desired": "0%", "effective": "0%"}
    stalled = next(c for c in cluster.status["conditions"] if c["type"] == "Stalled")
    assert (stalled["reason"], stalled["message"]) == ("SignatureIncompatible", DIFFERENCE)
    assert cluster.status["stable"]["version"] == "1"
    assert _path(2) not in cluster.kube.objects


async def test_a_warning_is_told_and_stays_with_the_version(cluster: Cluster) -> None:
    """
    A version that is only warned of goes on, with an event and a condition.
    """
    await _stable(cluster, model={"uri": "s3://m/m", "version": 1})
    model = {"uri": "s3://m/m", "version": 2, "signatures": {"compatibility": "Warn"}}
    cluster.want(2, model=model)
    await cluster.look()
    revision = cluster.status["canary"]["revision"]
    cluster.pods.warned[revision] = DIFFERENCE
    cluster.pods.settle()
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"
    assert cluster.told()["SignatureWarning"] == "SignatureIncompatible"
    assert cluster.events().count("SignatureIncompatible") == 1


async def test_what_cannot_be_read_is_waived_once(cluster: Cluster) -> None:
    """
    A stable version that does not tell its signatures holds nothing up, and that is told.
    """
    await _stable(cluster)
    cluster.pods.mute = True
    cluster.want(2)
    await cluster.look()
    cluster.pods.mute = False
    await cluster.rest()
    assert list(cluster.kube.objects[_path(2)]["data"]) == ["waived"]
    assert cluster.status["stable"]["version"] == "2"
    assert cluster.told()["SignatureWarning"] == "SignatureUnchecked"
    assert cluster.events().count("SignatureUnchecked") == 1


async def test_a_stable_version_without_a_ready_pod_is_not_asked(cluster: Cluster) -> None:
    """
    Progress never depends on the health of stable.
    """
    await _stable(cluster)
    cluster.pods.broken[revision_of(1)] = "it broke"
    cluster.pods.settle()
    cluster.want(2)
    await cluster.look()
    assert "it has no ready pod" in cluster.kube.objects[_path(2)]["data"]["waived"]


async def test_nothing_is_compared_where_nothing_is_asked(cluster: Cluster) -> None:
    """
    With `Off`, and for an undo, which goes back by a person's order, no interface is read.
    """
    await _stable(cluster)
    off = {"uri": "s3://models/mnist", "version": 2, "signatures": {"compatibility": "Off"}}
    cluster.want(2, model=off)
    await cluster.rest()
    cluster.annotate(f"undo@{revision_of(1)}")
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "1"
    assert not [path for path in cluster.kube.objects if path.endswith("-interface")]


async def test_a_canary_that_runs_already_is_left_alone(cluster: Cluster) -> None:
    """
    An interface that somebody deletes is not read anew in mid-rollout.
    """
    await _stable(cluster)
    cluster.want(2, rollout={"steps": [{"weight": 10, "approval": True}]})
    for _ in range(3):
        await cluster.look()
    del cluster.kube.objects[_path(2)]
    await cluster.look()
    assert _path(2) not in cluster.kube.objects


async def test_a_tardy_pod_is_asked_again(cluster: Cluster) -> None:
    """
    One answer that was lost waives nothing.
    """

    class Tardy(Probe):
        asked = 0

        async def metadata(self, address: str, model: str, version: str) -> str | None:
            self.asked += 1
            return await super().metadata(address, model, version) if self.asked > 1 else None

    await _stable(cluster)
    session: aiohttp.ClientSession = cluster.tools.probe._session
    cluster.tools = replace(cluster.tools, probe=Tardy(session))
    cluster.want(2)
    await cluster.look()
    assert "metadata.json" in cluster.kube.objects[_path(2)]["data"]
