"""
The router of a ModelDeployment: the pods, what they may read, and the Service that clients use.
"""

from typing import Any

from modeldeploy_operator.manifests import encryption, names, pool, template
from modeldeploy_operator.manifests.names import Owner
from modeldeploy_operator.manifests.template import Images
from modeldeploy_operator.resource.spec import Router, Traffic
from modeldeploy_operator.resource.traffic_spec import Auth, Tls

GRACE_SECONDS = 60
ROUTING_PATH = "/etc/modeldeploy/routing"
STATE_PATH = "/run/modeldeploy"
TOKENS_PATH = "/etc/modeldeploy/tokens"
TLS_PATH = "/etc/modeldeploy/tls"
KEEPER = {"name": "MODELDEPLOY_KEEPER", "value": f"{STATE_PATH}/keeper.sock"}
KEEPER_RESOURCES = {
    "requests": {"cpu": "1m", "memory": "16Mi"},
    "limits": {"memory": "32Mi"},
}


def build_client_service(owner: Owner, traffic: Traffic) -> dict[str, Any]:
    """
    Build the Service that clients send their requests to.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.metadata(owner.name, names.ROUTER),
        "spec": {
            "type": "ClusterIP",
            "selector": owner.selector(names.ROUTER),
            "ports": pool.service_ports(is_encrypted=traffic.tls is not None),
        },
    }


def build_access(owner: Owner) -> list[dict[str, Any]]:
    """
    Build the router's account and its rights: one ConfigMap and the endpoints, to read.
    """
    metadata = owner.metadata(owner.router, names.ROUTER)
    rules = [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [owner.routing],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata,
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": rules,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": owner.router,
            },
            "subjects": [
                {"kind": "ServiceAccount", "name": owner.router, "namespace": owner.namespace}
            ],
        },
    ]


def build_deployment(owner: Owner, traffic: Traffic, images: Images) -> dict[str, Any]:
    """
    Build the Deployment of the router pods.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": owner.metadata(owner.router, names.ROUTER),
        "spec": {
            "replicas": traffic.router.replicas,
            "revisionHistoryLimit": 0,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
            },
            "selector": {"matchLabels": owner.selector(names.ROUTER)},
            "template": {
                "metadata": {"labels": owner.labels(names.ROUTER)},
                "spec": _pod(owner, traffic, images),
            },
        },
    }


def _pod(owner: Owner, traffic: Traffic, images: Images) -> dict[str, Any]:
    container = _container(owner, traffic.router, images)
    volumes: list[dict[str, Any]] = [
        {"name": "state", "emptyDir": {"medium": "Memory"}},
        {"name": "routing", "configMap": {"name": owner.routing}},
    ]
    if traffic.auth:
        volumes.append(_tokens(container, traffic.auth))
    if traffic.tls:
        volumes += _encrypt(owner, container, traffic.tls)
    return {
        "serviceAccountName": owner.router,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": template.pod_security(runAsUser=template.USER, runAsGroup=template.USER),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": owner.selector(names.ROUTER)},
            }
        ],
        "containers": [container, _keeper(images)],
        "volumes": volumes,
    }


def _container(owner: Owner, router: Router, images: Images) -> dict[str, Any]:
    return {
        "name": "router",
        "image": images.router,
        "imagePullPolicy": images.pull_policy,
        "env": [
            {"name": "MODELDEPLOY_NAME", "value": owner.name},
            {"name": "POD_NAMESPACE", "value": owner.namespace},
            KEEPER,
        ],
        "ports": [
            {"name": "grpc", "containerPort": names.GRPC_PORT},
            {"name": "rest", "containerPort": names.REST_PORT},
            {"name": "status", "containerPort": names.STATUS_PORT},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "status"},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "status"},
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
        "resources": template.resources_of(router.resources),
        "securityContext": template.RESTRICTED,
        # What a router said last is the message of its failure.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "state", "mountPath": STATE_PATH},
            {"name": "routing", "mountPath": ROUTING_PATH, "readOnly": True},
        ],
    }


def _tokens(container: dict[str, Any], auth: Auth) -> dict[str, Any]:
    """
    Let a router ask for the tokens of a Secret, and return the volume that it reads them from.

    The volume is optional: a router without tokens ends, and says why, where the kubelet would wait
    without a word for a Secret that is missing.
    """
    container["env"].append({"name": "MODELDEPLOY_TOKENS_DIR", "value": TOKENS_PATH})
    container["volumeMounts"].append({"name": "tokens", "mountPath": TOKENS_PATH, "readOnly": True})
    return {
        "name": "tokens",
        "secret": {"secretName": auth.tokens_secret_name, "optional": True},
    }


def _encrypt(owner: Owner, container: dict[str, Any], tls: Tls) -> list[dict[str, Any]]:
    """
    Let a router show a Secret's certificate and trust the pods', and return the volumes for it.

    The first is optional for the same reason as that of the tokens.
    """
    container["env"] += [
        {"name": "MODELDEPLOY_TLS_DIR", "value": TLS_PATH},
        {
            "name": "MODELDEPLOY_UPSTREAM_CA_FILE",
            "value": f"{encryption.PATH}/{encryption.AUTHORITY}",
        },
        {"name": "MODELDEPLOY_UPSTREAM_HOST", "value": encryption.host(owner)},
    ]
    container["volumeMounts"].append({"name": "tls", "mountPath": TLS_PATH, "readOnly": True})
    shown = {"name": "tls", "secret": {"secretName": tls.secret_name, "optional": True}}
    return [shown, encryption.trust(owner, container)]


def _keeper(images: Images) -> dict[str, Any]:
    """
    Build the container that holds the listening sockets while the other one is away.
    """
    return {
        "name": "keeper",
        "image": images.router,
        "imagePullPolicy": images.pull_policy,
        "command": ["python3", "-S", "-m", "modeldeploy_router.keeper"],
        "env": [KEEPER],
        "resources": KEEPER_RESOURCES,
        "securityContext": template.RESTRICTED,
        "volumeMounts": [{"name": "state", "mountPath": STATE_PATH}],
    }
