"""
Addons: programs that a cluster has when somebody asks for them, beside the control plane.

Each runs on the first node as a process, like CoreDNS, so that no image is needed: metrics-server,
which autoscaling asks for the use of CPUs, and Traefik with the Gateway API.
"""

import base64
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeploy_devcluster import toolchain
from modeldeploy_devcluster.embedded import node, objects
from modeldeploy_devcluster.embedded.api import Api
from modeldeploy_devcluster.embedded.components import Component
from modeldeploy_devcluster.settings import DevclusterError, Settings

METRICS_SERVER, TRAEFIK = "metrics-server", "traefik"
METRICS_PORT, GATEWAY_PORT = 4443, 80
_TRAEFIK_PING = 9000
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Addon:
    """
    A program and what the API server must know for it.

    Attributes:
        component: Build the process from its program.
        objects: Build the objects by their paths in the API.
    """

    component: Callable[[Settings, Path], Component]
    objects: Callable[[Settings], dict[str, dict[str, Any]]]


def build_components(settings: Settings, programs: Mapping[str, Path]) -> tuple[Component, ...]:
    """Build the processes of the addons whose programs are given."""
    return tuple(
        addon.component(settings, programs[name] / name)
        for name, addon in ADDONS.items()
        if name in programs
    )


def check(names: tuple[str, ...]) -> None:
    """Refuse an addon that nobody knows."""
    unknown = sorted(set(names) - ADDONS.keys())
    if unknown:
        raise DevclusterError(
            f"There is no addon {unknown[0]!r}; there are: {', '.join(sorted(ADDONS))}."
        )


def furnish(settings: Settings, api: Api, name: str, pid: int) -> None:
    """Give the API server what an addon needs: its objects, and a way to its Service."""
    node.run(*node.enter(pid, "ip", "route", "replace", settings.service_cidr, "dev", "eth0"))
    if name == TRAEFIK:
        apply_gateway_definitions(settings)
    for path, document in ADDONS[name].objects(settings).items():
        api.apply(path, document)


def clear(settings: Settings, api: Api, name: str) -> None:
    """Take back what an addon was given; the kinds of the Gateway API stay with their objects."""
    for path in reversed(ADDONS[name].objects(settings)):
        api.delete(path)


def gateway_definitions(settings: Settings) -> Path:
    """Give the folder with the Gateway API's definitions, from the module that Traefik pins."""
    source = settings.tools / TRAEFIK
    version = toolchain.module_version((source / "go.mod").read_text(), "sigs.k8s.io/gateway-api")
    folder = settings.cache / "programs" / f"gateway-api-{version}"
    if not folder.is_dir():
        found = toolchain.module_folder(settings, TRAEFIK, "sigs.k8s.io/gateway-api")
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(found / "config" / "crd" / "standard", partial, copy_function=shutil.copy)
        partial.rename(folder)
    return folder


def apply_gateway_definitions(settings: Settings) -> None:
    """Teach the API server the kinds of the Gateway API."""
    folder = gateway_definitions(settings)
    kubectl = toolchain.ensure(settings, "kubernetes") / "kubectl"
    command = [str(kubectl), f"--kubeconfig={settings.kubeconfig}", "apply", "--server-side"]
    command += ["--force-conflicts", f"--filename={folder}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise DevclusterError(f"The Gateway API cannot be installed: {result.stderr.strip()}")


def _metrics_component(settings: Settings, program: Path) -> Component:
    kubeconfig = settings.pki("metrics-server.kubeconfig")
    argv = (
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={settings.node_ip}",
        f"--secure-port={METRICS_PORT}",
        f"--tls-cert-file={settings.pki('serving@metrics.crt')}",
        f"--tls-private-key-file={settings.pki('serving@metrics.key')}",
        f"--kubelet-certificate-authority={settings.pki('ca.crt')}",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    )
    health = f"https://{settings.node_ip}:{METRICS_PORT}/livez"
    return Component(METRICS_SERVER, argv, health)


def _metrics_objects(settings: Settings) -> dict[str, dict[str, Any]]:
    user, spaced = "system:metrics-server", "/api/v1/namespaces/kube-system"
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    reader = "extension-apiserver-authentication-reader"
    binding = objects.bind(user, reader)
    binding["metadata"]["namespace"] = "kube-system"
    binding |= {"kind": "RoleBinding", "roleRef": {**binding["roleRef"], "kind": "Role"}}
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "caBundle": base64.b64encode(settings.pki("ca.crt").read_bytes()).decode(),
            "service": {"name": METRICS_SERVER, "namespace": "kube-system", "port": 443},
        },
    }
    service, slices = _metrics_places(settings)
    delegator = objects.bind(user, "system:auth-delegator")
    delegator["metadata"]["name"] = f"{user}:delegator"
    return {
        f"{_RBAC}/clusterroles/{user}": objects.role(user, rules),
        f"{_RBAC}/clusterrolebindings/{user}": objects.bind(user, user),
        f"{_RBAC}/clusterrolebindings/{user}:delegator": delegator,
        f"{_RBAC}/namespaces/kube-system/rolebindings/{user}": binding,
        f"{spaced}/services/{METRICS_SERVER}": service,
        f"/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/{METRICS_SERVER}": slices,
        "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io": api,
    }


def _metrics_places(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the Service of metrics-server and, as it has no pod, the slice with its address."""
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": METRICS_SERVER, "namespace": "kube-system"},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": METRICS_PORT}]},
    }
    slices: dict[str, Any] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": METRICS_SERVER,
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": METRICS_SERVER},
        },
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": METRICS_PORT}],
        "endpoints": [{"addresses": [settings.node_ip], "conditions": {"ready": True}}],
    }
    return service, slices


def _traefik_component(settings: Settings, program: Path) -> Component:
    argv = (
        *("env", f"KUBECONFIG={settings.pki('traefik.kubeconfig')}", str(program)),
        f"--entrypoints.web.address={settings.node_ip}:{GATEWAY_PORT}",
        f"--entrypoints.traefik.address={settings.node_ip}:{_TRAEFIK_PING}",
        "--ping=true",
        "--api=false",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.statusaddress.ip={settings.node_ip}",
        "--log.level=INFO",
    )
    return Component(TRAEFIK, argv, f"http://{settings.node_ip}:{_TRAEFIK_PING}/ping")


def _traefik_objects(_: Settings) -> dict[str, dict[str, Any]]:
    user, read = "devcluster-traefik", ["get", "list", "watch"]
    kinds = ["gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants"]
    kinds += ["backendtlspolicies"]
    group = "gateway.networking.k8s.io"
    rules = [
        {
            "apiGroups": [""],
            "resources": ["services", "secrets", "namespaces", "nodes", "configmaps"],
            "verbs": read,
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        {"apiGroups": [group], "resources": kinds, "verbs": read},
        {
            "apiGroups": [group],
            "resources": [f"{kind}/status" for kind in kinds],
            "verbs": ["update"],
        },
    ]
    gateway_class = {
        "apiVersion": f"{group}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": TRAEFIK},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    }
    return {
        f"{_RBAC}/clusterroles/{user}": objects.role(user, rules),
        f"{_RBAC}/clusterrolebindings/{user}": objects.bind(user, user),
        f"/apis/{group}/v1/gatewayclasses/{TRAEFIK}": gateway_class,
    }


ADDONS = {
    METRICS_SERVER: Addon(_metrics_component, _metrics_objects),
    TRAEFIK: Addon(_traefik_component, _traefik_objects),
}
