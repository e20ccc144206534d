"""
The Jobs that judge a canary.
"""

from dataclasses import replace
from typing import Any

import pytest

from modeldeploy_operator.manifests import check_jobs
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.template import build_pod_template
from modeldeploy_operator.resource.checks import external_spec
from modeldeploy_operator.resource.spec import ModelDeploymentSpec, Server
from modeldeploy_operator.rollout.memory import Canary, Memory, Revision
from testkit.objects import IMAGES, NOW, OWNER, a_spec

CANARY = Revision("0a1b2c3d4e", "2")
MEMORY = Memory(stable=Revision("5f6a7b8c9d", "1"), canary=Canary(CANARY, 0, "", NOW))


def _spec(**check: Any) -> ModelDeploymentSpec:
    return a_spec(rollout={"analysis": {"checks": [{"name": "accuracy", **check}]}})


def _jobs(
    spec: ModelDeploymentSpec, memory: Memory = MEMORY, check: str = "accuracy"
) -> list[dict[str, Any]]:
    templates = {CANARY.revision: build_pod_template(OWNER, spec, CANARY, IMAGES)}
    return check_jobs.build_jobs(OWNER, spec, IMAGES, memory, (check,), templates)


def _job(**check: Any) -> dict[str, Any]:
    (job,) = _jobs(_spec(**check))
    return job


def _user(**spec: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "test", "image": "i"}], **spec}}}


def test_a_users_job() -> None:
    """
    It runs once, within its time, belongs to the object, and is no serving pod.
    """
    job = _job(job=_user())
    asked = job["metadata"]["annotations"]["serving.modeldeploy.io/asked"]
    assert job["metadata"]["name"] == f"mnist-0a1b2c3d4e-accuracy-{asked[:5]}"
    assert job["metadata"]["ownerReferences"] == [OWNER.reference()]
    assert job["metadata"]["labels"]["serving.modeldeploy.io/revision"] == CANARY.revision
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 600)
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["serving.modeldeploy.io/deployment"] == "mnist"
    assert labels["app.kubernetes.io/component"] == "check"
    assert "serving.modeldeploy.io/revision" not in labels


def test_its_containers_know_whom_they_judge() -> None:
    """
    Addresses, versions and revisions of both; what the user set stands.
    """
    own = {"name": "MODELDEPLOY_MODEL", "value": "mine"}
    first = {"name": "first", "image": "i", "terminationMessagePolicy": "File"}
    containers = [{"name": "test", "image": "i", "env": [own]}]
    job = _job(job=_user(containers=containers, initContainers=[first]))
    spec = job["spec"]["template"]["spec"]
    variables = {v["name"]: v["value"] for v in spec["containers"][0]["env"]}
    assert variables["MODELDEPLOY_CANARY_GRPC"] == "mnist-0a1b2c3d4e.vision.svc:8500"
    assert variables["MODELDEPLOY_STABLE_REST"] == "http://mnist-5f6a7b8c9d.vision.svc:8501"
    assert variables["MODELDEPLOY_CANARY_VERSION"] == "2"
    assert variables["MODELDEPLOY_STABLE_REVISION"] == "5f6a7b8c9d"
    assert variables["MODELDEPLOY_MODEL"] == "mine"
    assert spec["initContainers"][0]["env"]
    assert spec["initContainers"][0]["terminationMessagePolicy"] == "File"
    assert spec["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert spec["restartPolicy"] == "Never"


def test_its_pod_has_no_token_unless_it_asks_for_an_account() -> None:
    """
    What the user says himself is not undone.
    """

    def token(**spec: Any) -> object:
        pod = _job(job=_user(**spec))["spec"]["template"]["spec"]
        return pod.get("automountServiceAccountToken", "Kubernetes' default")

    assert token() is False
    assert token(serviceAccountName="tester") == "Kubernetes' default"
    assert token(serviceAccountName="tester", automountServiceAccountToken=False) is False
    assert token(automountServiceAccountToken=True) is True


def test_its_pods_labels_may_be_added_to() -> None:
    """
    Ours stay what they are.
    """
    labels = {"team": "vision", "serving.modeldeploy.io/deployment": "other"}
    template = {**_user()["template"], "metadata": {"labels": labels, "annotations": {"a": "b"}}}
    metadata = _job(job={"template": template})["spec"]["template"]["metadata"]
    assert metadata["labels"]["team"] == "vision"
    assert metadata["labels"]["serving.modeldeploy.io/deployment"] == "mnist"
    assert metadata["annotations"] == {"a": "b"}


def test_a_replay() -> None:
    """
    It runs our image with the storage's Secret, and gives up where trying again cannot help.
    """
    wanted = {"uri": "s3://logs/mnist", "maxMismatch": "1%", "secretName": "s3-read"}
    job = _job(replay={**wanted, "maxRequests": 50, "timeout": "1m"})
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGES.runtime
    assert container["args"] == [
        "replay",
        "--uri=s3://logs/mnist",
        "--model=mnist",
        "--tolerance=0.001",
        "--max_requests=50",
        "--termination-log=/dev/termination-log",
        "--target=mnist-0a1b2c3d4e.vision.svc:8506",
        "--root_certificates_file=/etc/modeldeploy/encryption/ca.crt",
        "--server_name=mnist.vision.svc",
    ]
    assert container["envFrom"] == [{"secretRef": {"name": "s3-read"}}]
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (2, 60)
    rules = job["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob"]


def test_a_replay_to_pods_that_do_not_encrypt() -> None:
    """
    Pods of an image that is not ours are asked plainly, as ever.
    """
    spec = _spec(replay={"uri": "s3://logs/mnist", "maxMismatch": 1})
    foreign = spec.model_copy(update={"server": Server(image="tensorflow/serving:2.18")})
    (job,) = _jobs(foreign)
    pod = job["spec"]["template"]["spec"]
    assert "--target=mnist-0a1b2c3d4e.vision.svc:8500" in pod["containers"][0]["args"]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]


def test_a_replay_from_a_claim() -> None:
    """
    The claim is mounted read-only, where the program looks for it.
    """
    job = _job(replay={"uri": "pvc://logs/mnist", "maxMismatch": 1})
    pod = job["spec"]["template"]["spec"]
    assert {"name": "claim", "mountPath": "/pvc/logs", "readOnly": True} in (
        pod["containers"][0]["volumeMounts"]
    )
    assert "envFrom" not in pod["containers"][0]


def test_without_a_canary_there_is_none() -> None:
    """
    Nor for checks that no Job answers.
    """
    spec = _spec(job=_user())
    for memory in (replace(MEMORY, canary=None), replace(MEMORY, stable=None)):
        assert _jobs(spec, memory) == []
    page = a_spec(
        rollout={
            "steps": [{"weight": 10}],
            "analysis": {
                "checks": [{"name": "page", "web": {"url": "http://x/", "jsonPath": "$", "max": 1}}]
            },
        }
    )
    assert _jobs(page, check="page") == []


@pytest.mark.parametrize("length", [1, 40])
def test_names_are_short_enough(length: int) -> None:
    """
    For the labels of pods, and two wishes for one check have two names.
    """
    owner = Owner("n" * length, "vision", "")
    names = {
        check_jobs.name_of(owner, CANARY.revision, f"{'c' * 39}d", asked)
        for asked in ("12345678", "87654321")
    }
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)
    tight = Owner("n" * 46, "vision", "")
    assert check_jobs.name_of(tight, CANARY.revision, "check", "12345678").endswith("e-12345")


def test_another_wish_is_another_question() -> None:
    """
    Whatever is changed in a check changes its mark.
    """
    one, other = (_spec(job={**_user(), "timeout": timeout}) for timeout in ("1m", "2m"))
    marks = {
        external_spec.terms("accuracy", part).asked
        for spec in (one, other)
        for part in spec.rollout.external_parts().values()
    }
    assert len(marks) == 2
