"""
What is kept of a revision: its template, its number, and the digest of its model.
"""

from dataclasses import replace

from modeldeploy_operator.manifests.template import Images
from testkit.objects import IMAGES
from testkit.small_cluster import Cluster, revision_of

SERVICE = "/api/v1/namespaces/vision/services/mnist"


async def test_the_digest_of_the_first_fetch_is_kept(cluster: Cluster) -> None:
    """
    What the first pod fetched stands in the revision's ConfigMap, for later pods to check.
    """
    cluster.want()
    await cluster.rest()
    revision = revision_of(1)
    record = cluster.kube.objects[f"/api/v1/namespaces/vision/configmaps/mnist-{revision}"]
    assert record["data"] == {"digest": f"sha256:of-{revision}"}
    assert record["immutable"]
    cluster.want(replicas=0)
    await cluster.rest()
    assert "configmaps" in cluster.kube.named(f"mnist-{revision}")


async def test_a_wrong_image_of_the_settings_can_be_mended(cluster: Cluster) -> None:
    """
    Pods that never fetched their model get the image of the operator's new settings.
    """
    cluster.want()
    await cluster.look(settle=False)
    mended = Images(runtime="images.example/mended:1", router=IMAGES.router)
    cluster.tools = replace(cluster.tools, images=mended)
    await cluster.rest()
    found = cluster.kube.objects[
        f"/apis/apps/v1/namespaces/vision/deployments/mnist-{revision_of(1)}"
    ]
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == mended.runtime
    records = [path for path in cluster.kube.objects if "/controllerrevisions/" in path]
    assert [path.rpartition("/")[2] for path in records] == [f"mnist-{revision_of(1)}-2"]


async def test_a_digest_is_kept_as_long_as_itsrevision_of(cluster: Cluster) -> None:
    """
    A revision that may be run again by undo still knows what it contained.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2)
    await cluster.rest()
    assert "configmaps" in cluster.kube.named(f"mnist-{revision_of(1)}")


async def test_a_record_that_somebody_deleted_stops_nothing(cluster: Cluster) -> None:
    """
    Without the ControllerRevision of the stable revision, a canary still goes on.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2)
    await cluster.look()
    del cluster.kube.objects[
        f"/apis/apps/v1/namespaces/vision/controllerrevisions/mnist-{revision_of(1)}-1"
    ]
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "2"


async def test_an_undo_brings_back_the_kept_pods(cluster: Cluster) -> None:
    """
    A revision whose template is kept can be run again by an action.
    """
    cluster.want()
    await cluster.rest()
    cluster.want(2)
    await cluster.rest()
    cluster.annotate(f"undo@{revision_of(1)}")
    await cluster.rest()
    assert cluster.status["stable"]["version"] == "1"
    assert cluster.told()["Promoted"] == "Undone"
    assert cluster.status["lastHandledAction"] == f"undo@{revision_of(1)}"


async def test_a_pruned_revision_leaves_the_cache(cluster: Cluster) -> None:
    """
    The eleventh version's rollout removes the first one's folder; its record goes after the Job.
    """
    cached = {"uri": "s3://models/mnist", "cache": {"claimName": "shelf"}}
    for version in range(1, 12):
        cluster.want(version, model={**cached, "version": version})
        await cluster.rest()
    jobs = "/apis/batch/v1/namespaces/vision/jobs/"
    [path] = [path for path in cluster.kube.objects if path.startswith(jobs)]
    revision = path.removeprefix(f"{jobs}mnist-").removesuffix("-cache")
    record = f"/apis/apps/v1/namespaces/vision/controllerrevisions/mnist-{revision}-1"
    job = cluster.kube.objects[path]
    assert record in cluster.kube.objects
    ended = [{"type": "Failed", "status": "True", "message": "The claim is away."}]
    cluster.kube.put(path, {**job, "status": {"conditions": ended}})
    await cluster.rest()
    assert not {record, path} & set(cluster.kube.objects)
    assert cluster.events().count("CacheKept") == 1
