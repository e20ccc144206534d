"""
The components of the cluster, as values: what is run, from which files, and where health shows.

Order matters: a component may need those above it to answer before it starts.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from modeldeploy_devcluster.settings import Settings


@dataclass(frozen=True, slots=True)
class Component:
    """
    One process of the cluster.

    Attributes:
        name: What people call it; `devcluster logs NAME`.
        argv: The command that is run in the namespaces of its node.
        health: The URL that answers 200 when the component works.
        files: The configuration files that it reads; a change restarts it.
        needs_api: Whether it is started only when the API server answers.
        node: On which node it runs.
    """

    name: str
    argv: tuple[str, ...]
    health: str
    files: tuple[Path, ...] = ()
    needs_api: bool = True
    node: int = 1

    def fingerprint(self, files: Mapping[Path, str]) -> str:
        """Hash what the component is given, to see whether a running one is out of date."""
        parts = [*self.argv, *(files[path] for path in self.files)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def build_components(
    settings: Settings, programs: Mapping[str, Path], *, audit: bool, nodes: int = 1
) -> tuple[Component, ...]:
    """Build the whole table, in the order of starting."""
    kubernetes = programs["kubernetes"]
    second = settings.node(2)
    return (
        _etcd(settings),
        _containerd(settings),
        _registry(settings, programs["registry"] / "registry"),
        _apiserver(settings, kubernetes / "kube-apiserver", audit=audit),
        _controller_manager(settings, kubernetes / "kube-controller-manager", nodes),
        _scheduler(settings, kubernetes / "kube-scheduler"),
        _proxy(settings, kubernetes / "kube-proxy"),
        _kubelet(settings, kubernetes / "kubelet"),
        _coredns(settings, programs["coredns"] / "coredns"),
        *(
            (
                replace(_containerd(second), needs_api=True),
                _proxy(second, kubernetes / "kube-proxy"),
                _kubelet(second, kubernetes / "kubelet"),
            )
            if nodes > 1
            else ()
        ),
    )


def _etcd(settings: Settings) -> Component:
    """Etcd without fsync: a test cluster may lose its data with the machine's power."""
    client = "http://127.0.0.1:2379"
    argv = (
        "etcd",
        f"--data-dir={settings.data('etcd')}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        f"--listen-metrics-urls=http://{settings.node_ip}:2381",
        "--quota-backend-bytes=4294967296",
        "--logger=zap",
    )
    return Component("etcd", argv, f"http://{settings.node_ip}:2381/health", needs_api=False)


def _containerd(settings: Settings) -> Component:
    """Containerd with a configuration, root, state and socket of our own."""
    config = settings.etc("containerd.toml")
    argv = ("containerd", "--config", str(config), "--log-level=warn")
    health = f"http://{settings.node_ip}:1338/v1/metrics"
    files = (config, settings.etc("cni/10-devcluster.conflist"))
    name = settings.component("containerd")
    return Component(name, argv, health, files, needs_api=False, node=settings.number)


def _registry(settings: Settings, program: Path) -> Component:
    """Run the registry that the node pulls from."""
    config = settings.etc("registry.json")
    health = f"http://{settings.registry_address}/v2/"
    argv = (str(program), "serve", str(config))
    return Component("registry", argv, health, (config,), needs_api=False)


def _apiserver(settings: Settings, program: Path, *, audit: bool) -> Component:
    """Run the API server with Node and RBAC authorization and Pod Security."""
    pki, files = settings.pki, [settings.etc("admission.json")]
    argv = [
        str(program),
        f"--advertise-address={settings.node_ip}",
        "--etcd-servers=http://127.0.0.1:2379",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--admission-control-config-file={settings.etc('admission.json')}",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={settings.service_cidr}",
        f"--client-ca-file={pki('ca.crt')}",
        *_serving_flags(settings),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki('service-account.pub')}",
        f"--service-account-signing-key-file={pki('service-account.key')}",
        f"--kubelet-certificate-authority={pki('ca.crt')}",
        f"--kubelet-client-certificate={pki('kube-apiserver.crt')}",
        f"--kubelet-client-key={pki('kube-apiserver.key')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki('ca.crt')}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki('front-proxy.crt')}",
        f"--proxy-client-key-file={pki('front-proxy.key')}",
    ]
    if audit:
        files.append(settings.etc("audit.json"))
        argv += [f"--audit-policy-file={files[-1]}", f"--audit-log-path={settings.log('audit')}"]
        argv += ["--audit-log-maxsize=200", "--audit-log-maxbackup=1"]
    health = f"https://{settings.node_ip}:6443/readyz"
    return Component("kube-apiserver", tuple(argv), health, tuple(files), needs_api=False)


def _controller_manager(settings: Settings, program: Path, nodes: int) -> Component:
    """
    Run the controllers, each with a service account of its own.

    A lone node is not declared dead, and its pods not unready, because the API server was away for
    a minute: its heartbeats reach the controllers late then. One of two is, as in any cluster.
    """
    argv = (
        str(program),
        *_control_plane_flags(settings, "kube-controller-manager"),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={settings.pki('service-account.key')}",
        f"--root-ca-file={settings.pki('ca.crt')}",
        f"--cluster-signing-cert-file={settings.pki('ca.crt')}",
        f"--cluster-signing-key-file={settings.pki('ca.key')}",
        f"--flex-volume-plugin-dir={settings.data('volume-plugins')}",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        *(("--node-monitor-grace-period=1h",) if nodes == 1 else ()),
    )
    health = f"https://{settings.node_ip}:10257/healthz"
    return Component("kube-controller-manager", argv, health)


def _scheduler(settings: Settings, program: Path) -> Component:
    """Run the scheduler."""
    argv = (str(program), *_control_plane_flags(settings, "kube-scheduler"))
    return Component("kube-scheduler", argv, f"https://{settings.node_ip}:10259/healthz")


def _proxy(settings: Settings, program: Path) -> Component:
    """Run kube-proxy, whose rules stay in the node's network namespace."""
    config = settings.etc("kube-proxy.json")
    argv = (str(program), f"--config={config}", f"--hostname-override={settings.node_name}")
    health = f"http://{settings.node_ip}:10256/healthz"
    name = settings.component("kube-proxy")
    return Component(name, argv, health, (config,), node=settings.number)


def _kubelet(settings: Settings, program: Path) -> Component:
    """Run the kubelet."""
    config = settings.etc("kubelet.json")
    argv = (
        str(program),
        f"--config={config}",
        f"--kubeconfig={settings.pki(settings.component('kubelet'))}.kubeconfig",
        f"--hostname-override={settings.node_name}",
        f"--node-ip={settings.node_ip}",
        f"--root-dir={settings.data('kubelet')}",
    )
    health = f"http://{settings.node_ip}:10248/healthz"
    name = settings.component("kubelet")
    return Component(name, argv, health, (config,), node=settings.number)


def _coredns(settings: Settings, program: Path) -> Component:
    """Run CoreDNS on the node itself: no image, and no Service on the way to a name."""
    config = settings.etc("Corefile")
    argv = (str(program), "-conf", str(config))
    return Component("coredns", argv, f"http://{settings.node_ip}:8181/ready", (config,))


def _serving_flags(settings: Settings) -> tuple[str, str]:
    """Build the flags for the certificate that all components serve with."""
    return (
        f"--tls-cert-file={settings.pki('serving.crt')}",
        f"--tls-private-key-file={settings.pki('serving.key')}",
    )


def _control_plane_flags(settings: Settings, name: str) -> tuple[str, ...]:
    """Build the flags that the controller manager and the scheduler share."""
    kubeconfig = settings.pki(f"{name}.kubeconfig")
    roles = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    flags = tuple(f"--{role}={kubeconfig}" for role in roles)
    return (*flags, *_serving_flags(settings), "--leader-elect=false", "--profiling=false")
