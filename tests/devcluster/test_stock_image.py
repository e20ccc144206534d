"""
The image stands in for tensorflow/serving: the same mounts, variables, ports and flags.

A pod is to containerd what `docker run` is to Docker: `--mount` is its volume, `-e` its env, and
what stands behind the image's name its args. The pods have a namespace of their own in the cluster
that other tests share.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
ENVIRON = {**os.environ, "MODELDEPLOY_CLUSTER": "embedded"}
NAMESPACE = "modeldeploy-stock-image"
HALF = "half_plus_two"
CONFIG = """model_config_list {
  config { name: "first" base_path: "/models/half_plus_two" model_platform: "tensorflow" }
  config { name: "second" base_path: "/models/half_plus_two" model_platform: "tensorflow" }
}
"""
BATCHES = "max_batch_size { value: 32 }\n"


@dataclass(frozen=True, slots=True)
class Run:
    """
    One `docker run`: where the folder is mounted, `-e`, and flags.

    Attributes:
        source: The mounted folder, below the one with all models.
        answers: The models that it must serve.
    """

    target: str
    env: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    source: str = HALF
    answers: tuple[str, ...] = (HALF,)
    ports: tuple[int, int] = (8500, 8501)


RUNS = {
    "named": Run("/models/half_plus_two", {"MODEL_NAME": HALF}),
    "unnamed": Run("/models/model", answers=("model",)),
    "elsewhere": Run(
        "/elsewhere/half_plus_two", {"MODEL_NAME": HALF, "MODEL_BASE_PATH": "/elsewhere"}
    ),
    "with-flags": Run(
        "/models/half_plus_two",
        {"MODEL_NAME": HALF},
        ("--port=9000", "--rest_api_port=9001", "--rest_api_timeout_in_ms=5000"),
        ports=(9000, 9001),
    ),
    "batching": Run(
        "/models",
        {"MODEL_NAME": HALF},
        ("--enable_batching", "--batching_parameters_file=/models/batching.config"),
        source=".",
    ),
    "several": Run(
        "/models",
        flags=("--model_config_file=/models/models.config", "--tensorflow_inter_op_parallelism=1"),
        source=".",
        answers=("first", "second"),
    ),
}


def _run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(
        command, input=stdin, env=ENVIRON, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, f"{' '.join(command[:4])}: {done.stdout[-2000:]}{done.stderr}"
    return done.stdout


def _devcluster(*arguments: str) -> str:
    return _run(sys.executable, "-m", "modeldeploy_devcluster", *arguments)


class Kubectl:
    """
    kubectl for the shared cluster, in the namespace of these tests.
    """

    def __init__(self) -> None:
        self._program = f"{_devcluster('path').strip().splitlines()[-1]}/kubectl"
        self._config = _devcluster("kubeconfig").strip()

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """
        Run one command.
        """
        where = (f"--kubeconfig={self._config}", f"--namespace={NAMESPACE}")
        return _run(self._program, *where, *arguments, stdin=stdin)

    def pod(self, name: str) -> Any:
        """
        Read a pod.
        """
        return json.loads(self("get", "pod", name, "--output=json"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    The folder on the node, which the image's own user may read.
    """
    folder = tmp_path_factory.mktemp("models")
    program = "examples/half_plus_two/make_model.py"
    _run(sys.executable, program, "--model_version=123", str(folder / HALF))
    (folder / "models.config").write_text(CONFIG)
    (folder / "batching.config").write_text(BATCHES)
    _run("chmod", "-R", "a+rX", str(folder))
    return folder


def _manifest(name: str, image: str, models: Path) -> dict[str, Any]:
    run = RUNS[name]
    container = {
        "name": "server",
        "image": image,
        "args": list(run.flags),
        "env": [{"name": key, "value": value} for key, value in run.env.items()],
        "volumeMounts": [{"name": "mounted", "mountPath": run.target, "readOnly": True}],
    }
    volume = {"name": "mounted", "hostPath": {"path": str(models / run.source)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "containers": [container],
            "volumes": [volume],
            "terminationGracePeriodSeconds": 30,
        },
    }


@pytest.fixture(scope="module")
def kubectl(models: Path) -> Iterator[Kubectl]:
    """
    Start a pod for each run, and take them away with their namespace.
    """
    _devcluster("up")
    image = json.loads(_devcluster("images", "runtime", "--json"))["runtime"]["image"]
    client = Kubectl()
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}  # for the host's folder
    metadata = {"name": NAMESPACE, "labels": labels}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    client("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    items = [namespace, *(_manifest(name, image, models) for name in RUNS)]
    try:
        for item in items:
            client("apply", "--filename=-", stdin=json.dumps(item))
        yield client
    finally:
        client("delete", "namespace", NAMESPACE, "--timeout=120s")


def _address(kubectl: Kubectl, name: str) -> str:
    """
    Wait until a pod serves what it must, and give its address.
    """
    end = time.monotonic() + 240
    while time.monotonic() < end:
        address = kubectl.pod(name)["status"].get("podIP")
        if address:
            url = f"http://{address}:{RUNS[name].ports[1]}/readyz"
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return str(address)
            except OSError:
                pass
        time.sleep(0.5)
    raise AssertionError(f"{name} did not become ready:\n{kubectl('logs', name)}")


def _rest(target: str, model: str) -> Any:
    body = b'{"instances": [1.0, 2.0, 5.0]}'
    url = f"http://{target}/v1/models/{model}:predict"
    with urllib.request.urlopen(url, body, 30) as answer:
        return json.load(answer)


def _grpc(target: str, model: str) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add(size=3)
    request.inputs["x"].float_val.extend([1.0, 2.0, 5.0])
    with grpc.insecure_channel(target) as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(
            request, timeout=30
        )


@pytest.mark.requirement("row-17")
@pytest.mark.parametrize("name", RUNS)
def test_run(kubectl: Kubectl, name: str) -> None:
    """
    What was mounted is served over both ports, under the name that the stock image gives it.
    """
    address = _address(kubectl, name)
    grpc_port, rest_port = RUNS[name].ports
    for model in RUNS[name].answers:
        assert _rest(f"{address}:{rest_port}", model) == {"predictions": [2.5, 3.0, 4.5]}
        answer = _grpc(f"{address}:{grpc_port}", model)
        assert list(answer.outputs["y"].float_val) == [2.5, 3.0, 4.5]
        assert answer.model_spec.version.value == 123


@pytest.mark.requirement("row-17")
def test_stop(kubectl: Kubectl) -> None:
    """
    The server is the container's first process, so that `docker stop` reaches it and it ends well.
    """
    _address(kubectl, "named")
    kubectl("exec", "named", "--", "/opt/venv/bin/python", "-c", "import os; os.kill(1, 15)")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        (told,) = kubectl.pod("named")["status"]["containerStatuses"]
        ended = told["lastState"].get("terminated") or told["state"].get("terminated")
        if ended:
            assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
            return
        time.sleep(0.2)
    raise AssertionError(f"The server did not end:\n{kubectl('logs', 'named')}")
