"""
One cluster for all tests: the chart is installed once, and the models are put into its store.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.cluster import MODEL, NAMESPACE, OPERATOR_NAMESPACE

ROOT = Path(__file__).parents[2]
DEVCLUSTER = [str(Path(sys.executable).with_name("devcluster"))]
HELM_WAIT = "90s"
ASKED = (
    f"checks.allowedUrls[0]=http://prometheus.{NAMESPACE}:9090",
    f"checks.allowedUrls[1]=http://pages.{NAMESPACE}:8080",
    f"checks.secrets[0].namespace={NAMESPACE}",
    "checks.secrets[0].name=pages-token",
)
"""What the checks of others may ask."""


def _run(*args: str, stdin: str | None = None) -> str:
    done = subprocess.run(args, input=stdin, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{' '.join(args[:4])}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def _images() -> dict[str, str]:
    lines = _run(*DEVCLUSTER, "images", "runtime", "operator", "router", "s3").splitlines()
    words = [line.split() for line in lines if len(line.split()) == 2]
    return {
        word[0]: word[1] for word in words if word[0] in ("runtime", "operator", "router", "s3")
    }


def _install(images: dict[str, str]) -> None:
    tags = [f"images.tags.{n}={images[n].rpartition(':')[2]}" for n in images if n != "s3"]
    registry = images["operator"].rpartition("/")[0]
    settings = ",".join([f"images.registry={registry}", *tags, *ASKED])
    _run("kubectl", "apply", "--server-side", "--force-conflicts", "-f", "crds")
    _run(
        *(
            "helm",
            "upgrade",
            "--install",
            "modeldeploy",
            "charts/modeldeploy",
            "--create-namespace",
        ),
        *("--namespace", OPERATOR_NAMESPACE, "--set", settings, "--wait", "--timeout", HELM_WAIT),
    )


def _store(images: dict[str, str], folder: Path) -> None:
    """
    Run an S3 store with five versions of the model: three good, one broken, one incomplete.
    """
    text = (ROOT / "examples/s3/s3.yaml").read_text().replace("S3_IMAGE", images["s3"])
    _run("kubectl", "-n", NAMESPACE, "apply", "-f", "-", stdin=text)
    _run("kubectl", "-n", NAMESPACE, "rollout", "status", "deployment/s3", "--timeout=60s")
    _run(sys.executable, "tests/cluster/make_models.py", str(folder))
    where = ["-o", "jsonpath={.spec.clusterIP}"]
    address = _run("kubectl", "-n", NAMESPACE, "get", "service", "s3", *where)
    _run(sys.executable, "examples/s3/upload.py", f"http://{address}:7070", str(folder), "models")


def _make_namespace() -> None:
    """
    Make the tests' namespace, whose pods are as restricted as Kubernetes knows.
    """
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": NAMESPACE, "labels": level}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    _run("kubectl", "apply", "-f", "-", stdin=json.dumps(namespace))


def _clear() -> None:
    """
    Remove what a run before this one may have left.
    """
    _run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")


@pytest.fixture(scope="session", autouse=True)
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Install everything; what is current is not built again.
    """
    kubeconfig = _run(*DEVCLUSTER, "kubeconfig").strip()
    programs = _run(*DEVCLUSTER, "path").strip().splitlines()[-1]
    os.environ["KUBECONFIG"] = kubeconfig
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    images = _images()
    _clear()
    _make_namespace()
    _install(images)
    _store(images, tmp_path_factory.mktemp("models") / MODEL)
    yield
    _clear()
