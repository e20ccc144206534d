"""
A Kubernetes control plane on this machine's loopback: etcd, the API server, and what is asked for.

No kubelet and no containers: what is stored, watched, leased and refused is the real thing. With
`hollow` there are a controller manager, a scheduler and kwok's hollow nodes as well. Nothing of it
needs root, and nothing outlives the `with`.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modeldeploy_devcluster import settings, toolchain

ROOT = Path(__file__).parents[2]
SERVICE_RANGE = "10.98.0.0/16"
OPERATOR_USER = "modeldeploy-operator"
HELPERS = ROOT / "charts/modeldeploy/templates/_helpers.tpl"
PATIENCE = 60.0


@dataclass
class ControlPlane:
    """
    The running programs, and kubeconfigs for those who ask.
    """

    folder: Path
    address: str
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """
        Start a program; its log is beside its data.
        """
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                argv, stdout=log, stderr=log, cwd=self.folder, env={**os.environ, **(env or {})}
            )

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        """
        End a program and wait for it.
        """
        process = self.processes.pop(name)
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def log(self, name: str) -> str:
        """
        Read what a program said.
        """
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def kubeconfig(self, user: str = "admin") -> Path:
        """
        Write a kubeconfig of a user: `admin` may do all, others what they are given.
        """
        path = self.folder / f"{user}.kubeconfig"
        server = f"https://{self.address}:{self.ports['api']}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}
            ],
            "users": [{"name": "u", "user": {"token": f"{user}-{self.token}"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path.write_text(json.dumps(document))
        return path

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """
        Run kubectl as the administrator.
        """
        done = subprocess.run(
            [str(_kubernetes() / "kubectl"), f"--kubeconfig={self.kubeconfig()}", *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {args[0]}: {done.stderr.strip()}"
        return done.stdout

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """
        Apply objects as the administrator.
        """
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(document))

    def install(self) -> None:
        """
        Install the CRD, and give the operator's user just the rights that the chart gives it.
        """
        self.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        rules = HELPERS.read_text().split('define "modeldeploy.rules" -}}\n')[1].split("{{- end")[0]
        lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
        name = {"metadata": {"name": OPERATOR_USER}}
        group = "rbac.authorization.k8s.io"
        self.apply(
            {
                "apiVersion": f"{group}/v1",
                "kind": "ClusterRole",
                **name,
                "rules": [*yaml.safe_load(rules), {**lease, "verbs": ["get", "create", "update"]}],
            },
            {
                "apiVersion": f"{group}/v1",
                "kind": "ClusterRoleBinding",
                **name,
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": OPERATOR_USER},
                "subjects": [{"apiGroup": group, "kind": "User", "name": OPERATOR_USER}],
            },
        )
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")

    def start_operator(self, name: str, **environment: str) -> None:
        """
        Start the operator as a process of this checkout, with the operator's own rights.
        """
        for kind in ("metrics", "liveness"):
            self.ports[f"{name}-{kind}"] = free_port(self.address)
        ours = {
            "KUBECONFIG": str(self.kubeconfig(OPERATOR_USER)),
            "MODELDEPLOY_RUNTIME_IMAGE": "images.example/runtime:1",
            "MODELDEPLOY_ROUTER_IMAGE": "images.example/router:1",
            "MODELDEPLOY_METRICS_PORT": str(self.ports[f"{name}-metrics"]),
            "MODELDEPLOY_LIVENESS_PORT": str(self.ports[f"{name}-liveness"]),
            "PYTHONWARNINGS": "ignore",
        }
        command = [sys.executable, "-m", "modeldeploy_operator.app"]
        self.start(name, command, {**ours, **environment})


def _kubernetes() -> Path:
    return toolchain.ensure(settings.load(), "kubernetes")


def free_port(address: str) -> int:
    """
    Find a port that nobody listens on.
    """
    with socket.socket() as found:
        found.bind((address, 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def control_plane(
    folder: Path, address: str = "127.0.0.1", *, advertise: str | None = None
) -> Iterator[ControlPlane]:
    """
    Run etcd and the API server until the end of the `with`.
    """
    etcd = shutil.which("etcd", path=f"{os.environ['PATH']}:/usr/bin")
    assert etcd, "etcd is missing; install it with `apt-get install etcd-server`"
    plane = ControlPlane(folder, address)
    plane.ports = {name: free_port(address) for name in ("etcd", "peers", "api")}
    client, peers = (f"http://{address}:{plane.ports[name]}" for name in ("etcd", "peers"))
    try:
        plane.start(
            "etcd",
            [
                *(etcd, f"--data-dir={folder}/etcd", "--unsafe-no-fsync", "--logger=zap"),
                *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
                *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
                *(f"--initial-cluster=default={peers}", "--quota-backend-bytes=4294967296"),
            ],
        )
        start_api_server(plane, advertise or address)
        yield plane
    finally:
        for name in reversed(list(plane.processes)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(plane.processes[name].pid, signal.SIGCONT)
            plane.stop(name, signal.SIGTERM if name != "etcd" else signal.SIGKILL)


def start_api_server(plane: ControlPlane, advertise: str) -> None:
    """
    Start the API server, and wait until it is ready.
    """
    folder = plane.folder
    key = folder / "accounts.key"
    if not key.exists():
        command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        subprocess.run([*command, "-out", str(key)], check=True, capture_output=True)
        command = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(key) + ".pub"]
        subprocess.run(command, check=True, capture_output=True)
        rows = [f"admin-{plane.token},admin,1,system:masters"]
        rows.append(f"{OPERATOR_USER}-{plane.token},{OPERATOR_USER},2")
        (folder / "tokens.csv").write_text("\n".join(rows) + "\n")
    plane.start(
        "kube-apiserver",
        [
            str(_kubernetes() / "kube-apiserver"),
            f"--etcd-servers=http://{plane.address}:{plane.ports['etcd']}",
            f"--bind-address={plane.address}",
            f"--advertise-address={advertise}",
            f"--secure-port={plane.ports['api']}",
            f"--cert-dir={folder}/serving",
            f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}.pub",
            f"--service-account-signing-key-file={key}",
            "--endpoint-reconciler-type=none",
            # Nobody would take the taint of a new node away again.
            "--disable-admission-plugins=TaintNodesByCondition",
            "--profiling=false",
        ],
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        process = plane.processes["kube-apiserver"]
        assert process.poll() is None, plane.log("kube-apiserver")[-3000:]
        try:
            plane.kubectl("get", "--raw", "/readyz")
        except AssertionError:
            assert time.monotonic() < deadline, plane.log("kube-apiserver")[-3000:]
            time.sleep(0.2)
        else:
            return
