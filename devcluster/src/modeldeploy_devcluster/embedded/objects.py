"""
The few objects that the cluster itself needs: what CoreDNS and the API server may do.

Their names are those of stock clusters where there are any.
"""

from typing import Any

_RBAC = "rbac.authorization.k8s.io"
_PATH = f"/apis/{_RBAC}/v1"


def build_objects() -> dict[str, dict[str, Any]]:
    """Build the objects by their paths in the API."""
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list", "watch"],
        },
    ]
    return {
        f"{_PATH}/clusterroles/system:coredns": role("system:coredns", rules),
        f"{_PATH}/clusterrolebindings/system:coredns": bind("system:coredns", "system:coredns"),
        f"{_PATH}/clusterrolebindings/devcluster-apiserver": bind(
            "devcluster-apiserver", "system:kubelet-api-admin"
        ),
    }


def role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Build a cluster role."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def bind(user: str, role: str) -> dict[str, Any]:
    """Bind a user to a cluster role, under the user's name."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
    }
