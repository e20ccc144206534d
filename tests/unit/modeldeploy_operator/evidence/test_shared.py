"""
Shared pods as they are seen: which version each serves, and why not.
"""

from typing import Any

import pytest

from modeldeploy_operator.evidence import shared
from modeldeploy_operator.evidence.shared import SILENT, Told
from modeldeploy_operator.rollout.snapshot import Failure
from modeldeploy_runtime.servables import ids

DEPLOYMENT = {
    "metadata": {"labels": {"serving.modeldeploy.io/revision": "pr1"}, "creationTimestamp": "then"},
    "spec": {"replicas": 2},
}
NO_VERSION = {"code": "VersionNotFound", "permanent": True, "message": "There is none."}


def a_pod(*, ready: bool = True) -> dict[str, Any]:
    """
    Build a shared pod whose containers run.
    """
    parts: list[dict[str, Any]] = [
        {"name": name, "state": {"running": {}}} for name in ("server", "follow")
    ]
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"metadata": {}, "status": {"conditions": conditions, "containerStatuses": parts}}


def told(
    *states: tuple[str, str, str], held: tuple[str, ...] = (), **reports: dict[str, Any]
) -> Told:
    """
    Build what a pod says, by way of the wire; reports go by the version with a letter before it.
    """
    found = [
        {"version": v, "state": s, "status": {"error_code": code, "error_message": "why"}}
        for v, s, code in states
    ]
    by_version = {name[1:]: report for name, report in reports.items()}
    return shared.read(
        {"model_version_status": found}, {"held": list(held), "versions": by_version}
    )


BOTH = told(("1", "AVAILABLE", "OK"), ("2", "AVAILABLE", "OK"), held=("1", "002"))
ONE = told(("1", "AVAILABLE", "OK"), held=("1",))


def test_a_pool_counts_the_pods_that_have_its_version() -> None:
    """
    A pod that is not ready counts for none, and leading zeros are the folder's matter.
    """
    found = [(a_pod(), BOTH), (a_pod(), ONE), (a_pod(ready=False), BOTH)]
    first = shared.pool_of(DEPLOYMENT, "1", found, listed=True)
    second = shared.pool_of(DEPLOYMENT, "002", found, listed=True)
    assert (first.desired, first.ready, first.shared, first.created) == (2, 2, "pr1", "then")
    assert (second.ready, second.stage) == (1, "FetchingModel")


def test_a_version_that_is_on_its_way_out_asks_for_no_pods() -> None:
    """
    It is a pool for as long as a pod knows it.
    """
    assert shared.pool_of(DEPLOYMENT, "1", [(a_pod(), ONE)], listed=False).desired == 0
    assert ONE.knows("1")
    assert not ONE.knows("2")
    assert told(r2=NO_VERSION).knows("2")
    assert not told(("2", "END", "OK")).knows("2")


@pytest.mark.parametrize(
    ("said", "failure", "stage"),
    [
        (
            told(r2=NO_VERSION),
            Failure("VersionNotFound", "There is none.", permanent=True),
            "FetchingModel",
        ),
        (
            told(("2", "END", "RESOURCE_EXHAUSTED"), held=("2",)),
            Failure(
                "OutOfMemory", "Both versions do not fit the pods' memory: why", permanent=True
            ),
            "LoadingModel",
        ),
        (
            told(("2", "END", "UNKNOWN"), held=("2",)),
            Failure("ModelUnusable", "The model cannot be loaded: why", permanent=True),
            "LoadingModel",
        ),
        (told(("2", "LOADING", "OK"), held=("2",)), None, "LoadingModel"),
        (SILENT, None, "FetchingModel"),
    ],
)
def test_why_a_version_is_not_available(said: Told, failure: Failure | None, stage: str) -> None:
    """
    What the follower and the server say of it decides, whatever the pod's other versions do.
    """
    pool = shared.pool_of(DEPLOYMENT, "2", [(a_pod(), said)], listed=True)
    assert (pool.ready, pool.failure, pool.stage) == (0, failure, stage)


def test_a_pod_that_does_not_run_says_why() -> None:
    """
    Before its containers run, the stages and failures are those of any pod.
    """
    pod = a_pod(ready=False)
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": waiting}
    pool = shared.pool_of(DEPLOYMENT, "1", [(pod, SILENT)], listed=True)
    assert (pool.stage, pool.failure) == (
        "PullingImage",
        Failure("ImagePullBackOff", "no such image"),
    )


def test_what_a_fetch_found_is_kept() -> None:
    """
    Its digest, and its warning.
    """
    good = {"code": "Fetched", "digest": "sha256:1", "warning": "An input is wider."}
    found = [(a_pod(), SILENT), (a_pod(), told(r2=good))]
    assert shared.digest_of("2", found) == "sha256:1"
    assert shared.digest_of("1", found) is None
    pool = shared.pool_of(DEPLOYMENT, "2", found, listed=True)
    assert pool.warning == Failure("SignatureIncompatible", "An input is wider.")


@pytest.mark.parametrize(
    ("status", "followed"),
    [(None, None), ({"model_version_status": [{}]}, {}), ({}, {"versions": 3}), ({}, {"held": 3})],
)
def test_an_answer_of_another_form_says_nothing(status: Any, followed: Any) -> None:
    """
    A pod that does not answer, or not in our words, holds nothing that is known.
    """
    assert shared.read(status, followed) == SILENT


def test_a_pod_counts_for_each_version_apart() -> None:
    """
    What it counted for another version, or before it knew which, is left out.
    """
    metrics = """up 1
requests{version="1"} 5
requests{version="12"} 6
requests{version=""} 7
requests{version="2"} 8"""
    assert shared.only(metrics, "002").splitlines() == ["up 1", 'requests{version="2"} 8']


def test_a_version_that_is_a_name_is_found_by_its_number() -> None:
    """
    A server's status has room for numbers alone; both halves derive the same one from a name.
    """
    name = "2024-11-05T10-00"
    number = str(ids.version_number(name))
    said = told((number, "AVAILABLE", "OK"), held=(name,))
    assert shared.pool_of(DEPLOYMENT, name, [(a_pod(), said)], listed=True).ready == 1
    assert said.knows(name)
