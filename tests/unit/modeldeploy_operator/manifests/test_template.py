"""
The pod of a revision: what differs between a smallest spec and others.
"""

from typing import Any

import pytest

from modeldeploy_operator.manifests.template import build_pod_template
from modeldeploy_operator.resource.spec import ModelDeploymentSpec
from modeldeploy_operator.rollout.memory import Revision
from testkit.objects import IMAGES, OWNER, a_spec

REVISION = Revision("0a1b2c3d4e", "1")


def _pod(spec: ModelDeploymentSpec) -> dict[str, Any]:
    pod: dict[str, Any] = build_pod_template(OWNER, spec, REVISION, IMAGES)["spec"]
    return pod


def _with_model(**changes: Any) -> ModelDeploymentSpec:
    model = {"uri": "s3://models/mnist", "version": 1, **changes}
    return ModelDeploymentSpec.model_validate({"model": model})


def test_the_server_sees_a_local_path() -> None:
    """
    The init container fetches; the server is told the folder, the name and its ports.
    """
    pod = _pod(a_spec())
    assert pod["initContainers"][0]["args"] == [
        "fetch",
        "--uri=s3://models/mnist",
        "--version=1",
        "--to=/models/mnist",
        "--termination-log=/dev/termination-log",
        "--against=/etc/modeldeploy/interface/metadata.json",
        "--compatibility=Strict",
    ]
    assert pod["containers"][0]["args"] == [
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=mnist",
        "--model_base_path=/models/mnist",
        "--max_num_load_retries=0",
        "--enable_reload_config_request=false",
        "--control_port=8503",
        "--control_host=",
        "--control_token_file=/etc/modeldeploy/control/token",
        "--ssl_port=8506",
        "--ssl_config_file=/etc/modeldeploy/encryption/ssl.config",
        "--rest_api_ssl_port=8507",
        "--rest_api_ssl_config_file=/etc/modeldeploy/encryption/ssl.config",
    ]


def test_a_version_that_is_no_number_is_one_to_our_server() -> None:
    """
    The server is told so after all that the user tells it; another image never is.
    """
    named = a_spec("2024-11-05", server={"args": ["--version_names=numbers"]})
    args = _pod(named)["containers"][0]["args"]
    assert args.index("--version_names=any") > args.index("--version_names=numbers")
    assert "--version_names=any" not in str(_pod(a_spec("2", server={"image": "tf"})))


def test_the_fetch_is_told_what_is_asked_of_signatures() -> None:
    """
    Required signatures are a flag; the interface is a volume that may be missing.
    """
    pod = _pod(_with_model(signatures={"required": ["a", "b"], "compatibility": "Warn"}))
    args = pod["initContainers"][0]["args"]
    assert "--required_signatures=a,b" in args
    assert "--compatibility=Warn" in args
    volume = {"name": "mnist-0a1b2c3d4e-interface", "optional": True}
    assert {"name": "interface", "configMap": volume} in pod["volumes"]
    off = _pod(_with_model(signatures={"compatibility": "Off"}))
    assert "interface" not in str(off["volumes"])
    assert "--against" not in str(off["initContainers"][0]["args"])


def test_only_the_fetcher_gets_the_secret() -> None:
    """
    The Secret's keys are the init container's environment, and nobody else's.
    """
    pod = _pod(_with_model(secretName="s3-read"))
    assert pod["initContainers"][0]["envFrom"] == [{"secretRef": {"name": "s3-read"}}]
    assert "envFrom" not in pod["containers"][0]
    assert "env" not in pod["containers"][0]
    assert "envFrom" not in _pod(a_spec())["initContainers"][0]


def test_a_given_digest_is_checked() -> None:
    """
    What the version must contain goes to the fetch.
    """
    digest = f"sha256:{'0' * 64}"
    assert f"--digest={digest}" in _pod(_with_model(digest=digest))["initContainers"][0]["args"]


def test_a_recorded_digest_reaches_every_later_pod() -> None:
    """
    The first digest seen stands in the revision's ConfigMap, which need not exist yet.
    """
    [variable] = _pod(a_spec())["initContainers"][0]["env"]
    assert variable["name"] == "MODELDEPLOY_DIGEST"
    source = variable["valueFrom"]["configMapKeyRef"]
    assert source == {"name": "mnist-0a1b2c3d4e", "key": "digest", "optional": True}


def test_a_claim_is_mounted_to_read() -> None:
    """
    A model on a claim is read through a read-only mount in the init container alone.
    """
    pod = _pod(_with_model(uri="pvc://models/vision/mnist"))
    source = {"claimName": "models", "readOnly": True}
    assert {"name": "claim", "persistentVolumeClaim": source} in pod["volumes"]
    mount = {"name": "claim", "mountPath": "/pvc/models", "readOnly": True}
    assert mount in pod["initContainers"][0]["volumeMounts"]
    assert mount not in pod["containers"][0]["volumeMounts"]


def test_a_foreign_image_is_asked_less() -> None:
    """
    Another server is probed by TCP, keeps its own user, and gets no flag that only ours knows.
    """
    pod = _pod(a_spec(server={"image": "tensorflow/serving:2.19.1", "args": ["--x=1"]}))
    [server] = pod["containers"]
    assert server["image"] == "tensorflow/serving:2.19.1"
    assert server["readinessProbe"]["tcpSocket"] == {"port": "rest"}
    assert "livenessProbe" not in server
    assert server["args"][-2:] == ["--model_base_path=/models/mnist", "--x=1"]
    assert "runAsUser" not in pod["securityContext"]
    assert pod["initContainers"][0]["image"] == "images.example/runtime:1"


def test_resources_are_those_of_the_spec() -> None:
    """
    Quantities are written as text, for the fetcher too, which shares the pod's memory.
    """
    pod = _pod(a_spec(resources={"requests": {"cpu": 1, "memory": "1Gi"}}))
    expected = {"requests": {"cpu": "1", "memory": "1Gi"}}
    assert pod["containers"][0]["resources"] == expected
    assert pod["initContainers"][0]["resources"] == expected
    assert _pod(a_spec())["containers"][0]["resources"] == {}


@pytest.mark.parametrize("kind", ["initContainers", "containers"])
def test_pods_run_under_the_restricted_standard(kind: str) -> None:
    """
    What Pod Security's `restricted` asks holds for every container.
    """
    pod = _pod(a_spec())
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    for container in pod[kind]:
        security = container["securityContext"]
        assert not security["allowPrivilegeEscalation"]
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}
