"""
The configuration files of the components, as values: path to contents.

Nothing is written here. JSON is YAML, so all but containerd's TOML and CoreDNS' own format is
JSON from the standard library.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeploy_devcluster.settings import REGISTRY, Settings

PAUSE_IMAGE = f"{REGISTRY}/modeldeploy/pause:1"


@dataclass(frozen=True, slots=True)
class Machine:
    """
    What the machine is like, as far as the configuration depends on it.

    Attributes:
        cni: The folder with the CNI plugins.
        may_lower_oom_score: Whether CAP_SYS_RESOURCE is there; without it sandboxes must not ask.
    """

    cni: Path
    may_lower_oom_score: bool


def build_files(settings: Settings, machine: Machine) -> dict[Path, str]:
    """Build every configuration file of a node, and on the first one of the control plane."""
    documents: dict[str, Any] = {
        "kubelet.json": build_kubelet(settings),
        "kube-proxy.json": build_kube_proxy(settings),
        "cni/10-devcluster.conflist": build_cni(settings),
    }
    if settings.number == 1:
        documents["admission.json"] = build_admission()
        documents["audit.json"] = build_audit()
        documents["registry.json"] = build_registry(settings)
    texts = {name: json.dumps(document, indent=1) + "\n" for name, document in documents.items()}
    texts["containerd.toml"] = build_containerd(settings, machine)
    registry = f"http://{settings.registry_address}"
    texts[f"hosts/{REGISTRY}/hosts.toml"] = (
        f'server = "{registry}"\n[host."{registry}"]\ncapabilities = ["pull", "resolve"]\n'
    )
    if settings.number == 1:
        texts["Corefile"] = build_corefile(settings)
    texts["resolv.conf"] = (
        ""  # pods that ask for the node's own resolver get none: no way leads out
    )
    return {settings.etc(name): text for name, text in texts.items()}


def build_kubelet(settings: Settings) -> dict[str, Any]:
    """Build the KubeletConfiguration: cgroup v1 or v2, nothing evicted or collected early."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": settings.node_ip,
        "healthzBindAddress": settings.node_ip,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(settings.pki("ca.crt"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(settings.pki(f"{settings.component('serving')}.crt")),
        "tlsPrivateKeyFile": str(settings.pki(f"{settings.component('serving')}.key")),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{settings.run}/containerd.sock",
        "clusterDNS": [settings.control_ip],
        "clusterDomain": "cluster.local",
        "resolvConf": str(settings.etc("resolv.conf")),
        "podLogsDir": str(settings.pod_logs),
        "volumePluginDir": str(settings.data("volume-plugins")),
        "localStorageCapacityIsolation": False,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "maxPods": 110,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "registryPullQPS": 0,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
    }


def build_kube_proxy(settings: Settings) -> dict[str, Any]:
    """Build the KubeProxyConfiguration: nftables, in the node's own network namespace."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": settings.node_ip,
        "healthzBindAddress": f"{settings.node_ip}:10256",
        "metricsBindAddress": f"{settings.node_ip}:10249",
        "clientConnection": {"kubeconfig": str(settings.pki("kube-proxy.kubeconfig"))},
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,
    }


def build_admission() -> dict[str, Any]:
    """Build the admission configuration: Pod Security baseline, with warnings for restricted."""
    pod_security = {
        "apiVersion": "pod-security.admission.config.k8s.io/v1",
        "kind": "PodSecurityConfiguration",
        "defaults": {"enforce": "baseline", "warn": "restricted", "audit": "restricted"},
        "exemptions": {"namespaces": ["kube-system"]},
    }
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "PodSecurity", "configuration": pod_security}],
    }


def build_audit() -> dict[str, Any]:
    """Build the audit policy: who did what to which object; bodies only of our own group."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*", "/openapi*"]},
            {"level": "None", "resources": [{"group": "coordination.k8s.io"}]},
            {"level": "Request", "resources": [{"group": "serving.modeldeploy.io"}]},
            {"level": "Metadata"},
        ],
    }


def build_registry(settings: Settings) -> dict[str, Any]:
    """Build the registry's configuration; its blobs are build results and live in the cache."""
    return {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(settings.cache / "registry")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": settings.registry_address, "secret": "not used by a single registry"},
    }


def build_cni(settings: Settings) -> dict[str, Any]:
    """Build the pod network: a routed link for each pod, so that no bridge filtering is needed."""
    addresses = {
        "type": "host-local",
        "dataDir": str(settings.data("addresses")),
        "ranges": [[{"subnet": settings.pod_cidr}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "1.0.0",
        "name": "devcluster",
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}],
    }


def build_corefile(settings: Settings) -> str:
    """Build CoreDNS' configuration: the cluster's names, and a quick no for all others."""
    return f"""cluster.local:53 in-addr.arpa:53 {{
    bind {settings.node_ip}
    errors
    ready {settings.node_ip}:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {settings.pki("coredns.kubeconfig")}
    }}
}}
.:53 {{
    bind {settings.node_ip}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def build_containerd(settings: Settings, machine: Machine) -> str:
    """Build containerd's configuration; every path is ours, so a machine's own is untouched."""
    restrict = "false" if machine.may_lower_oom_score else "true"
    return f"""version = 2
root = "{settings.data("containerd")}"
state = "{settings.run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{settings.run}/containerd.sock"
[metrics]
  address = "{settings.node_ip}:1338"
[plugins."io.containerd.internal.v1.opt"]
  path = "{settings.data("containerd")}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = {restrict}
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  max_concurrent_downloads = 10
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{machine.cni}"
    conf_dir = "{settings.etc("cni")}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{settings.etc("hosts")}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""
