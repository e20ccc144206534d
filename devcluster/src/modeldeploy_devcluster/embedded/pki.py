"""
Certificates, keys and kubeconfigs of the cluster, made with openssl.

One authority signs all. Whatever exists is kept, so `up` on a running cluster changes nothing.
"""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_devcluster.settings import NODE_NAME, DevclusterError, Settings

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody with a certificate: its file name, user name and group."""

    name: str
    user: str
    group: str | None = None


SERVING = Identity("serving", "devcluster")
SERVING_2 = Identity("serving@node2", "devcluster-2")
METRICS = Identity("serving@metrics", "metrics-server")
CLIENTS = (
    Identity("admin", "devcluster-admin", "system:masters"),
    Identity("kube-controller-manager", "system:kube-controller-manager"),
    Identity("kube-scheduler", "system:kube-scheduler"),
    Identity("kube-proxy", "system:kube-proxy"),
    Identity("kubelet", f"system:node:{NODE_NAME}", "system:nodes"),
    Identity("coredns", "system:coredns"),
    Identity("kube-apiserver", "devcluster-apiserver"),
    Identity("front-proxy", "front-proxy-client"),
    Identity("kubelet@node2", f"system:node:{NODE_NAME}-2", "system:nodes"),
    Identity("metrics-server", "system:metrics-server"),
    Identity("traefik", "devcluster-traefik"),
)
WITH_KUBECONFIG = tuple(c for c in CLIENTS if c.name not in ("kube-apiserver", "front-proxy"))


def ensure(settings: Settings) -> None:
    """Make every certificate, key and kubeconfig that does not exist yet."""
    settings.pki("").mkdir(parents=True, exist_ok=True, mode=0o700)
    if not settings.pki("ca.crt").exists():
        _openssl(
            "req", "-x509", *_KEY, "-subj", "/CN=modeldeploy-devcluster", *_files(settings, "ca")
        )
    if not settings.pki("service-account.key").exists():
        curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        key = str(settings.pki("service-account.key"))
        _openssl("genpkey", *curve, "-out", key)
        _openssl("pkey", "-in", key, "-pubout", "-out", str(settings.pki("service-account.pub")))
    for identity in (SERVING, SERVING_2, METRICS, *CLIENTS):
        if not settings.pki(f"{identity.name}.crt").exists():
            _sign(settings, identity)
    for identity in WITH_KUBECONFIG:
        path = settings.pki(f"{identity.name}.kubeconfig")
        if not path.exists():
            _write_private(path, build_kubeconfig(settings, identity))
    if not settings.kubeconfig.exists():
        _write_private(settings.kubeconfig, build_kubeconfig(settings, CLIENTS[0]))


def build_kubeconfig(settings: Settings, identity: Identity) -> str:
    """Build a kubeconfig that carries its certificates, as JSON, which is YAML."""

    def embedded(name: str) -> str:
        return base64.b64encode(settings.pki(name).read_bytes()).decode()

    cluster = {
        "server": f"https://{settings.control_ip}:6443",
        "certificate-authority-data": embedded("ca.crt"),
    }
    user = {
        "client-certificate-data": embedded(f"{identity.name}.crt"),
        "client-key-data": embedded(f"{identity.name}.key"),
    }
    context = {"cluster": "devcluster", "user": identity.name}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "devcluster", "cluster": cluster}],
        "users": [{"name": identity.name, "user": user}],
        "contexts": [{"name": "devcluster", "context": context}],
        "current-context": "devcluster",
    }
    return json.dumps(config, indent=1) + "\n"


def _sign(settings: Settings, identity: Identity) -> None:
    """Make a key and have the authority sign its certificate."""
    subject = f"/O={identity.group}" if identity.group else ""
    if identity in (SERVING, SERVING_2, METRICS):
        names, addresses = _alternatives(settings, identity)
        alternatives = [f"DNS:{name}" for name in names] + [f"IP:{ip}" for ip in addresses]
        use = ["extendedKeyUsage=serverAuth", f"subjectAltName={','.join(alternatives)}"]
    else:
        use = ["extendedKeyUsage=clientAuth"]
    extensions = ["basicConstraints=critical,CA:FALSE", *use]
    authority = ["-CA", str(settings.pki("ca.crt")), "-CAkey", str(settings.pki("ca.key"))]
    _openssl(
        *("req", "-x509", *_KEY, *authority, "-subj", f"{subject}/CN={identity.user}"),
        *(part for extension in extensions for part in ("-addext", extension)),
        *_files(settings, identity.name),
    )


def _alternatives(settings: Settings, identity: Identity) -> tuple[list[str], list[str]]:
    """Say under which names and addresses a server is reached."""
    if identity is SERVING_2:
        return [settings.node(2).node_name], [settings.node(2).node_ip]
    if identity is METRICS:
        return ["metrics-server.kube-system.svc"], [settings.node_ip]
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    names += ["kubernetes.default.svc.cluster.local", "localhost", NODE_NAME]
    return names, [settings.node_ip, settings.kubernetes_ip, "127.0.0.1"]


def _files(settings: Settings, name: str) -> list[str]:
    """Name the files that openssl writes a key and its certificate to."""
    return ["-keyout", str(settings.pki(f"{name}.key")), "-out", str(settings.pki(f"{name}.crt"))]


def _write_private(path: Path, text: str) -> None:
    """Write a file that only root may read."""
    path.touch(mode=0o600)
    path.write_text(text)


def _openssl(*arguments: str) -> None:
    """Run openssl, and pass on what it says when it fails."""
    result = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise DevclusterError(f"`openssl {arguments[0]}` failed: {result.stderr.strip()}")
