"""
Pods: at which stage they are, and why they go no further.
"""

import json
from typing import Any

import pytest

from modeldeploy_operator.evidence import pods
from modeldeploy_operator.rollout.snapshot import Failure, Pool
from testkit.objects import a_container, a_pod

FETCHED = a_container("fetch", terminated={"exitCode": 0})
RUNNING = a_container(running={})
STARTING = a_container(waiting={"reason": "PodInitializing"})


def _report(**values: Any) -> str:
    return json.dumps({"code": "Fetched", "permanent": False, "message": "", **values})


def _leaving(pod: dict[str, Any]) -> dict[str, Any]:
    return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


def test_a_pod_that_leaves_is_not_ready() -> None:
    """
    Ready is a pod that says so and is to stay.
    """
    assert pods.is_ready(a_pod(ready=True))
    assert not pods.is_ready(a_pod())
    assert not pods.is_ready(_leaving(a_pod(ready=True)))
    assert not pods.is_ready({"metadata": {}})


@pytest.mark.parametrize(
    ("pod", "stage"),
    [
        ({"metadata": {}}, "AwaitingPods"),
        (a_pod(first=(STARTING | {"name": "fetch"},)), "AwaitingPods"),
        (a_pod(first=(a_container("fetch", waiting={"reason": "ErrImagePull"}),)), "PullingImage"),
        (a_pod(first=(a_container("fetch", running={}),)), "FetchingModel"),
        (a_pod(first=(a_container("fetch", terminated={"exitCode": 1}),)), "FetchingModel"),
        (a_pod(first=(FETCHED,), containers=(STARTING,)), "AwaitingPods"),
        (
            a_pod(
                first=(FETCHED,), containers=(a_container(waiting={"reason": "ImagePullBackOff"}),)
            ),
            "PullingImage",
        ),
        (a_pod(first=(FETCHED,), containers=(RUNNING,)), "LoadingModel"),
        (
            a_pod(
                first=(FETCHED,),
                containers=({**a_container(waiting={"reason": "X"}), "restartCount": 2},),
            ),
            "LoadingModel",
        ),
    ],
)
def test_the_stage_is_the_gate(pod: dict[str, Any], stage: str) -> None:
    """
    From the containers' states follows the gate that a pod stands at.
    """
    assert pods.stage_of(pod) == stage


def test_a_server_that_runs_and_is_not_ready_can_be_asked() -> None:
    """
    Only a running server with an address can say why it does not serve.
    """
    assert pods.is_loading(a_pod(containers=(RUNNING,)))
    assert not pods.is_loading(a_pod(ready=True, containers=(RUNNING,)))
    assert not pods.is_loading(a_pod(containers=(RUNNING,), podIP=""))
    assert not pods.is_loading(a_pod(containers=(STARTING,)))


def _failed(exit_code: int = 2, **ended: Any) -> dict[str, Any]:
    return a_pod(first=(a_container("fetch", terminated={"exitCode": exit_code, **ended}),))


@pytest.mark.parametrize(
    ("pod", "failure"),
    [
        (a_pod(first=(FETCHED,), containers=(RUNNING,)), None),
        (a_pod(first=(a_container("fetch", running={}),)), None),
        (
            a_pod(first=(a_container("fetch", waiting={"reason": "ErrImagePull"}),)),
            Failure("ErrImagePull", "The image images.example/runtime:1 cannot be pulled."),
        ),
        (
            a_pod(
                containers=(a_container(waiting={"reason": "InvalidImageName", "message": "m"}),)
            ),
            Failure("InvalidImageName", "m", permanent=True),
        ),
        (
            a_pod(containers=(a_container(waiting={"reason": "CreateContainerConfigError"}),)),
            Failure("CreateContainerConfigError", "The container server cannot be made."),
        ),
        (
            a_pod(containers=(a_container(terminated={"exitCode": 137, "reason": "OOMKilled"}),)),
            Failure(
                "OutOfMemory",
                "The container server needed more memory than its limit; raise "
                "spec.resources.limits.memory.",
            ),
        ),
        (
            a_pod(containers=(a_container(terminated={"exitCode": 3}),)),
            Failure("ContainerFailed", "The container server stopped: it exited with status 3"),
        ),
        (
            a_pod(
                containers=(
                    {
                        **a_container(waiting={"reason": "CrashLoopBackOff"}),
                        "lastState": {"terminated": {"exitCode": 1, "message": "no such flag"}},
                    },
                )
            ),
            Failure("ContainerFailed", "The container server stopped: no such flag"),
        ),
        (
            a_pod(
                containers=({**RUNNING, "lastState": {"terminated": {"exitCode": 1}}},),
            ),
            None,
        ),
        (
            _failed(message=_report(code="VersionNotFound", permanent=True, message="no 3")),
            Failure("VersionNotFound", "no 3", permanent=True),
        ),
        (
            _failed(1, message=_report(code="AccessDenied", message="403")),
            Failure("AccessDenied", "403"),
        ),
        (
            _failed(1, message="Traceback"),
            Failure("FetchFailed", "The model could not be fetched: Traceback"),
        ),
        (
            _failed(1, message="[]"),
            Failure("FetchFailed", "The model could not be fetched: []"),
        ),
        (_failed(9), Failure("FetchFailed", "The model could not be fetched: exit status 9")),
        (
            a_pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "no cpu"}]),
            Failure("Unschedulable", "no cpu"),
        ),
        (
            a_pod(conditions=[{"type": "PodScheduled", "status": "False"}]),
            Failure("Unschedulable", "No node takes the pod."),
        ),
        (a_pod(conditions=[{"type": "PodScheduled", "status": "True"}]), None),
    ],
)
def test_a_failure_names_its_cause(pod: dict[str, Any], failure: Failure | None) -> None:
    """
    What stands in the way becomes a code, a sentence, and whether waiting can help.
    """
    assert pods.failure_of(pod) == failure


def test_a_model_that_cannot_be_loaded_is_told_first() -> None:
    """
    What the server itself says of its model counts more than the container's state.
    """
    failure = pods.failure_of(a_pod(containers=(RUNNING,)), "Op type not registered")
    assert failure is not None
    assert (failure.code, failure.permanent) == ("ModelUnusable", True)
    assert failure.message.endswith("Op type not registered")


def test_the_digest_is_that_of_the_first_finished_fetch() -> None:
    """
    The first report that names a digest gives it; none, or an unreadable one, gives None.
    """
    reporting = a_pod(
        first=(
            a_container("fetch", terminated={"exitCode": 0, "message": _report(digest="sha256:1")}),
        )
    )
    silent = a_pod(first=(FETCHED,), containers=(RUNNING,))
    assert pods.digest_of([_failed(message=_report(digest="sha256:0")), silent, reporting]) == (
        "sha256:1"
    )
    assert pods.digest_of([silent]) is None
    assert pods.digest_of([]) is None


def test_a_pool_sums_up_its_pods() -> None:
    """
    Leaving pods do not count; of several failures a permanent one is told.
    """
    deployment = {"spec": {"replicas": 4}}
    transient = _failed(1, message=_report(code="AccessDenied"))
    permanent = _failed(message=_report(code="VersionNotFound", permanent=True))
    found = [a_pod(ready=True), transient, permanent, _leaving(a_pod(ready=True))]
    pool = pods.pool_of(deployment, found, {})
    assert (pool.desired, pool.ready, pool.stage) == (4, 1, "FetchingModel")
    assert pool.failure == Failure("VersionNotFound", "", permanent=True)
    assert pods.pool_of({"spec": {}}, [], {}) == Pool(1, 0)


def test_load_errors_are_matched_by_the_pods_name() -> None:
    """
    An error that a server told belongs to its own pod.
    """
    loading = a_pod(containers=(RUNNING,))
    pool = pods.pool_of({"spec": {}}, [loading], {loading["metadata"]["name"]: "bad graph"})
    assert pool.failure is not None
    assert pool.failure.code == "ModelUnusable"


def test_pods_that_may_not_be_made_are_told() -> None:
    """
    A quota or an admission rule that refuses pods shows in the Deployment.
    """
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "q"}
    conditions = [{"type": "Progressing", "status": "True"}, refused]
    pool = pods.pool_of({"spec": {}, "status": {"conditions": conditions}}, [], {})
    assert pool.failure == Failure("FailedCreate", "q")
