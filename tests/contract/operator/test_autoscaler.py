"""
Kubernetes' own autoscaler and the operator, on a real API server: who writes which number.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modeldeploy_devcluster import settings, toolchain
from testkit.control_plane import ControlPlane, control_plane
from testkit.objects import an_object

pytestmark = pytest.mark.timeout(180)

NAMESPACE = "vision"
LIMITS = {"minReplicas": 2, "maxReplicas": 3}
REQUESTS = {"requests": {"cpu": "100m"}}


@pytest.fixture
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """
    Run an API server, the controller of autoscalers, and one operator.
    """
    if shutil.which("etcd", path="/usr/bin:/usr/local/bin") is None:
        pytest.fail("etcd is missing; install it with `apt-get install etcd-server`")
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        running.install()
        running.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        program = toolchain.ensure(settings.load(), "kubernetes") / "kube-controller-manager"
        running.start(
            "kube-controller-manager",
            [
                *(str(program), f"--kubeconfig={running.kubeconfig()}", "--leader-elect=false"),
                *(f"--cert-dir={running.folder}/controller-manager", "--profiling=false"),
                "--controllers=horizontal-pod-autoscaler-controller",
                "--horizontal-pod-autoscaler-sync-period=1s",
            ],
        )
        running.start_operator("operator", MODELDEPLOY_LEASE=f"{NAMESPACE}/operator")
        yield running


def _until(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come true within 60 s"
        time.sleep(0.2)


def _read(plane: ControlPlane, kind: str) -> Any:
    return json.loads(plane.kubectl("-n", NAMESPACE, "get", kind, "-o", "json"))["items"]


def _sizes(plane: ControlPlane) -> tuple[list[int], list[int]]:
    """
    Read what the object says, and what its pool has.
    """
    pools = [d for d in _read(plane, "deployments") if not d["metadata"]["name"].endswith("router")]
    return (
        [m["spec"]["replicas"] for m in _read(plane, "modeldeployments")],
        [pool["spec"]["replicas"] for pool in pools],
    )


def _reasons(plane: ControlPlane) -> set[str]:
    found = [hpa["status"].get("conditions", []) for hpa in _read(plane, "hpa")]
    return {condition["reason"] for conditions in found for condition in conditions}


@pytest.mark.requirement("row-15")
def test_the_autoscaler_scales_the_object_and_rests_at_nought(plane: ControlPlane) -> None:
    """
    It writes replicas through the scale subresource, and the pool follows; 0 by hand stays 0.
    """
    body = an_object(autoscaling=LIMITS, resources=REQUESTS)
    body["metadata"] = {"name": "mnist", "namespace": NAMESPACE}
    body["spec"].pop("replicas", None)
    body.pop("status")
    plane.apply(body)
    _until("as many pods as the autoscaler keeps at least", lambda: _sizes(plane) == ([2], [2]))
    scale = ("-n", NAMESPACE, "scale", "modeldeployment", "mnist")
    plane.kubectl(*scale, "--replicas=0")
    _until("an autoscaler that rests", lambda: "ScalingDisabled" in _reasons(plane))
    _until("no pods", lambda: _sizes(plane) == ([0], [0]))
    plane.kubectl(*scale, "--replicas=5")
    _until("as many pods as the autoscaler allows", lambda: _sizes(plane) == ([3], [3]))
    patch = json.dumps([{"op": "remove", "path": "/spec/autoscaling"}])
    where = ("-n", NAMESPACE, "modeldeployment", "mnist")
    plane.kubectl("patch", *where, "--type=json", f"--patch={patch}")
    _until("no autoscaler", lambda: not _read(plane, "hpa"))
    assert _sizes(plane) == ([3], [3])
