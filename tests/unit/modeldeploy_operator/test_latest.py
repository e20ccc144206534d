"""
`version: latest` in whole passes: what the watcher finds is wanted, and nothing else changes it.
"""

from typing import Any

import pytest

from testkit.objects import IMAGES, PATH
from testkit.small_cluster import Cluster, revision_of

URI = "s3://models/mnist"
WATCHER = "/apis/apps/v1/namespaces/vision/deployments/mnist-watcher"


def _found(*complete: str, **more: Any) -> dict[str, Any]:
    known = {"looked": True, "complete": list(complete), "incomplete": [], "problem": None}
    return {**known, **more}


def _problem(code: str) -> dict[str, str]:
    return {"code": code, "message": f"{code} happened."}


async def _looks(cluster: Cluster, count: int = 15) -> None:
    for _ in range(count):
        await cluster.look()


async def _following(cluster: Cluster, *complete: str, **changes: Any) -> None:
    """
    Bring an object that follows to rest at the newest of these versions.
    """
    cluster.pods.findings = _found(*complete)
    cluster.want("latest", **changes)
    await _looks(cluster)
    assert cluster.status["stable"]["version"] == complete[0]


def _followed(cluster: Cluster) -> dict[str, str]:
    found: dict[str, str] = next(
        c for c in cluster.status["conditions"] if c["type"] == "Following"
    )
    return found


async def test_nothing_runs_before_a_version_is_known(cluster: Cluster) -> None:
    """
    The watcher and the routers are made, and the condition says what is waited for.
    """
    cluster.want("latest")
    await _looks(cluster, 3)
    assert cluster.told() == {
        "Ready": "AwaitingVersion",
        "Promoted": "AwaitingVersion",
        "Reconciling": "AwaitingVersion",
        "Following": "WatcherUnready",
    }
    deployments = [path for path in cluster.kube.objects if "/deployments/" in path]
    names = sorted(path.rpartition("/")[2] for path in deployments)
    assert names == ["mnist-router", "mnist-watcher"]
    cluster.pods.findings = _found(incomplete=[{"version": "1", "message": "It lacks files."}])
    await cluster.look()
    assert _followed(cluster)["message"] == "Version 1 is not complete yet: It lacks files."
    cluster.pods.findings = _found()
    await cluster.look()
    assert _followed(cluster)["reason"] == "NoVersion"


async def test_the_newest_version_is_found_and_promoted(cluster: Cluster) -> None:
    """
    The first answers all traffic at once; a newer one goes through the rollout by itself.
    """
    await _following(cluster, "2", "1")
    assert cluster.status["model"] == {"uri": URI, "version": "2"}
    assert cluster.status["stable"]["revision"] == revision_of(2)
    assert cluster.told() == {
        "Ready": "Serving",
        "Promoted": "Promoted",
        "Following": "UpToDate",
    }
    cluster.pods.findings = _found("10", "2", "1")
    await _looks(cluster)
    assert cluster.status["stable"]["version"] == "10"
    assert [c["outcome"] for c in cluster.status["history"]] == ["Promoted", "Promoted"]
    assert cluster.events().count("VersionFound") == 2


async def test_dates_and_times_are_versions_too(cluster: Cluster) -> None:
    """
    They rank in natural order after numbers; folders of other names may be there for other reasons.
    """
    await _following(cluster, "9")
    cluster.pods.findings = _found("backup", "2024-11-05T10-00", "2024-2-05", "9")
    await _looks(cluster)
    assert cluster.status["stable"]["version"] == "2024-11-05T10-00"
    cluster.pods.findings = _found("2024-11-05T9-00", "2024-11-05T10-00")
    await _looks(cluster, 3)
    assert cluster.status["model"]["version"] == "2024-11-05T10-00"


async def test_through_another_image_numbers_alone_are_followed(cluster: Cluster) -> None:
    """
    Nobody but our runtime knows versions of other names.
    """
    cluster.pods.findings = _found("2024-11-05", "2")
    cluster.want("latest", server={"image": "tensorflow/serving:2.19.1"})
    await _looks(cluster, 3)
    assert cluster.status["model"]["version"] == "2"
    args = cluster.kube.objects[WATCHER]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--version_names=numbers" in args


async def test_a_version_is_not_wanted_before_it_is_complete(cluster: Cluster) -> None:
    """
    What is being uploaded is told, and nothing is rolled out.
    """
    await _following(cluster, "2")
    cluster.pods.findings = _found("2", incomplete=[{"version": "3", "message": "It lacks files."}])
    await _looks(cluster, 3)
    assert cluster.status["model"]["version"] == "2"
    assert _followed(cluster)["reason"] == "VersionIncomplete"
    assert "canary" not in cluster.status


@pytest.mark.parametrize(
    ("findings", "reason"),
    [
        (None, "WatcherUnready"),
        ({"unknown": "form"}, "WatcherUnready"),
        (_found(looked=False), "WatcherUnready"),
        (_found(problem=_problem("StorageUnavailable")), "StorageUnavailable"),
        (_found(), "VersionGone"),
        (_found("1"), "VersionGone"),
        (_found("99999999999999999999", "new", "2"), "UpToDate"),
    ],
)
async def test_nothing_that_goes_away_changes_what_runs(
    cluster: Cluster, findings: dict[str, Any] | None, reason: str
) -> None:
    """
    Watcher down, storage down, an empty listing, a deleted version: all stays, and is told.
    """
    await _following(cluster, "2", "1")
    routing = cluster.kube.objects["/api/v1/namespaces/vision/configmaps/mnist-routing"]["data"]
    cluster.pods.findings = findings
    await _looks(cluster, 3)
    assert _followed(cluster)["reason"] == reason
    assert cluster.status["model"]["version"] == "2"
    assert cluster.status["stable"]["version"] == "2"
    after = cluster.kube.objects["/api/v1/namespaces/vision/configmaps/mnist-routing"]["data"]
    assert after == routing


async def test_a_steady_follower_writes_nothing(cluster: Cluster) -> None:
    """
    Asking the watcher again and again costs no write.
    """
    await _following(cluster, "2")
    cluster.since()
    await _looks(cluster, 5)
    assert cluster.since() == []


async def test_a_version_that_failed_is_not_tried_again(cluster: Cluster) -> None:
    """
    It stays aborted until a retry or a newer version, and no older one takes its place.
    """
    await _following(cluster, "2")
    cluster.pods.refused[revision_of(4)] = {
        "code": "ModelUnusable",
        "permanent": True,
        "message": "It is no model.",
    }
    cluster.pods.findings = _found("4", "3", "2")
    await _looks(cluster)
    assert cluster.told()["Stalled"] == "ModelUnusable"
    await _looks(cluster, 5)
    assert [c["version"] for c in cluster.status["history"]] == ["4", "2"]
    assert cluster.status["stable"]["version"] == "2"
    cluster.pods.refused.clear()
    cluster.annotate(f"retry@{revision_of(4)}")
    await _looks(cluster)
    assert cluster.status["stable"]["version"] == "4"


async def test_a_newer_version_than_the_failed_one_is_tried(cluster: Cluster) -> None:
    """
    The next upload mends a bad one, without a person.
    """
    await _following(cluster, "2")
    refused = {"code": "ModelUnusable", "permanent": True, "message": "It is no model."}
    cluster.pods.refused[revision_of(3)] = refused
    cluster.pods.findings = _found("3", "2")
    await _looks(cluster)
    cluster.pods.findings = _found("4", "3", "2")
    await _looks(cluster)
    assert cluster.status["stable"]["version"] == "4"
    assert "Stalled" not in cluster.told()


async def test_pinning_the_same_number_starts_no_rollout(cluster: Cluster) -> None:
    """
    A pin stops the following: the watcher goes, no pod is made, and newer versions do not matter.
    """
    await _following(cluster, "2")
    before = cluster.status["stable"]["revision"]
    assert WATCHER in cluster.kube.objects
    cluster.pods.findings = _found("3", "2")
    cluster.want(2)
    await _looks(cluster, 5)
    assert WATCHER not in cluster.kube.objects
    assert cluster.status["stable"]["revision"] == before
    assert len(cluster.status["history"]) == 1
    assert "Following" not in cluster.told()
    assert "model" not in cluster.status


async def _pinned(cluster: Cluster, version: int, **changes: Any) -> None:
    cluster.want(version, **changes)
    await cluster.rest()


async def test_a_change_from_a_number_to_latest_starts_no_rollout(cluster: Cluster) -> None:
    """
    What is stable stays so although the storage's newest is older.
    """
    await _pinned(cluster, 5)
    cluster.pods.findings = _found("4")
    cluster.want("latest")
    await _looks(cluster)
    assert cluster.status["stable"]["version"] == "5"
    assert cluster.status["model"]["version"] == "5"
    assert len(cluster.status["history"]) == 1


async def test_a_change_to_latest_in_mid_canary_disturbs_nothing(cluster: Cluster) -> None:
    """
    The canary goes on, because it is the version that is followed from now on.
    """
    await _pinned(cluster, 1)
    steps = {"steps": [{"weight": 10, "approval": True}]}
    cluster.want(2, rollout=steps)
    await _looks(cluster, 4)
    cluster.want("latest", rollout=steps)
    await _looks(cluster, 4)
    assert cluster.status["canary"]["version"] == "2"
    assert cluster.status["model"]["version"] == "2"


async def test_a_change_to_latest_tries_no_aborted_version_again(cluster: Cluster) -> None:
    """
    An abort outlives the way in which its version is named.
    """
    await _pinned(cluster, 1)
    refused = {"code": "ModelUnusable", "permanent": True, "message": "It is no model."}
    cluster.pods.refused[revision_of(2)] = refused
    cluster.want(2)
    await _looks(cluster, 6)
    cluster.pods.findings = _found("2", "1")
    cluster.want("latest")
    await _looks(cluster)
    assert [c["version"] for c in cluster.status["history"]] == ["2", "1"]
    assert cluster.told()["Stalled"] == "ModelUnusable"


MOVED: dict[str, Any] = {"model": {"uri": "s3://elsewhere/mnist", "version": "latest"}}


async def test_another_uri_is_searched_anew(cluster: Cluster) -> None:
    """
    Nothing changes before something was found there; then its newest version is rolled out.
    """
    await _following(cluster, "7")
    cluster.pods.findings = None
    cluster.want(**MOVED)
    await _looks(cluster, 4)
    assert cluster.status["stable"]["version"] == "7"
    assert "model" not in cluster.status
    cluster.pods.findings = _found("3")
    await _looks(cluster)
    assert cluster.status["stable"]["version"] == "3"
    assert cluster.status["model"] == {"uri": "s3://elsewhere/mnist", "version": "3"}


@pytest.mark.parametrize("state", ["canary", "rejected", "undone"])
async def test_a_search_holds_whatever_is_under_way(cluster: Cluster, state: str) -> None:
    """
    A canary goes on, an abort and an undo stay in force while nobody knows the version.
    """
    await _pinned(cluster, 1)
    if state == "rejected":
        refused = {"code": "ModelUnusable", "permanent": True, "message": "It is no model."}
        cluster.pods.refused[revision_of(2)] = refused
    steps = {"steps": [{"weight": 10, "approval": state == "canary"}]}
    cluster.want(2, rollout=steps)
    await _looks(cluster, 12)
    if state == "undone":
        cluster.annotate(f"undo@{revision_of(1)}")
        await _looks(cluster, 12)
    before = {key: cluster.status.get(key) for key in ("stable", "canary", "history", "rollout")}
    cluster.want(**MOVED, rollout=steps)
    await _looks(cluster, 4)
    after = {key: cluster.status.get(key) for key in before}
    assert after == before


async def test_a_watcher_that_cannot_run_is_told(cluster: Cluster) -> None:
    """
    Why its pod is not ready is the condition's message.
    """
    cluster.want("latest")
    await cluster.look(settle=False)
    pod = cluster.kube.objects[WATCHER]["spec"]["template"]
    waiting = {"reason": "ImagePullBackOff", "message": f"{IMAGES.runtime} is not there."}
    cluster.kube.put(
        "/api/v1/namespaces/vision/pods/mnist-watcher-0",
        {
            "metadata": {
                "name": "mnist-watcher-0",
                "labels": pod["metadata"]["labels"],
                "creationTimestamp": "2026-01-01T00:00:01Z",
            },
            "status": {
                "containerStatuses": [{"name": "watcher", "state": {"waiting": waiting}}],
            },
        },
    )
    await cluster.look(settle=False)
    assert _followed(cluster)["message"] == (
        f"The watcher pod is not ready: {IMAGES.runtime} is not there."
    )


async def test_the_watcher_alone_gets_what_it_needs(cluster: Cluster) -> None:
    """
    It has the Secret and the claim, no token, and a root file system that nobody writes.
    """
    model = {"uri": "pvc://models/mnist", "version": "latest", "secretName": "s3-read"}
    cluster.want(model={**model, "pollInterval": "1m30s", "settlePeriod": "500ms"})
    await cluster.look()
    pod = cluster.kube.objects[WATCHER]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["envFrom"] == [{"secretRef": {"name": "s3-read"}}]
    assert {"--poll_interval=90s", "--settle_period=0.5s"} <= set(container["args"])
    claim = {"claimName": "models", "readOnly": True}
    assert {"name": "claim", "persistentVolumeClaim": claim} in pod["volumes"]


async def test_the_next_look_comes_when_the_watcher_may_know_more(cluster: Cluster) -> None:
    """
    A steady follower asks for another look although nothing is under way.
    """
    await _following(cluster, "2")
    assert await cluster.look()
    assert "Reconciling" not in cluster.told()
    assert PATH in cluster.kube.objects
