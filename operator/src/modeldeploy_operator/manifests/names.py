"""
Names, labels and ports: said once.
"""

from dataclasses import dataclass
from typing import Any

from modeldeploy_operator.resource import API_VERSION, GROUP, KIND

FIELD_MANAGER = "modeldeploy-operator"
DEPLOYMENT_LABEL = f"{GROUP}/deployment"
REVISION_LABEL = f"{GROUP}/revision"
VERSION_ANNOTATION = f"{GROUP}/version"
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "modeldeploy"
SERVER = "server"
ROUTER = "router"
WATCHER = "watcher"
CHECK = "check"
CACHE = "cache"
CHECK_LABEL = f"{GROUP}/check"
ASKED_ANNOTATION = f"{GROUP}/asked"
GRPC_PORT = 8500
REST_PORT = 8501
STATUS_PORT = 8502
CONTROL_PORT = 8503
CONTROL = "control"
FINDINGS_PORT = 8504
FOLLOW_PORT = 8505
GRPC_TLS_PORT = 8506
REST_TLS_PORT = 8507


@dataclass(frozen=True, slots=True)
class Owner:
    """
    The ModelDeployment that owns everything that is made for it.
    """

    name: str
    namespace: str
    uid: str
    created: str = ""

    @property
    def router(self) -> str:
        """
        The name of the router's Deployment, ServiceAccount, Role, RoleBinding and budget.
        """
        return f"{self.name}-router"

    @property
    def watcher(self) -> str:
        """
        The name of the Deployment that looks for versions.
        """
        return f"{self.name}-watcher"

    @property
    def routing(self) -> str:
        """
        The name of the routing ConfigMap.
        """
        return f"{self.name}-routing"

    @property
    def preview(self) -> str:
        """
        The name of the Service that leads to a candidate alone.
        """
        return f"{self.name}-preview"

    @property
    def encryption(self) -> str:
        """
        The name of the Secret with the certificate that pods show to the routers.
        """
        return f"{self.name}-encryption"

    @property
    def control(self) -> str:
        """
        The name of the Secret for the serving pods' control ports.
        """
        return f"{self.name}-control"

    def pool(self, revision: str) -> str:
        """
        Return the name of what belongs to one revision.
        """
        return f"{self.name}-{revision}"

    def interface(self, revision: str) -> str:
        """
        Return the name of the ConfigMap with what a revision is compared with.
        """
        return f"{self.pool(revision)}-interface"

    def versions(self, home: str) -> str:
        """
        Return the name of the ConfigMap that lists the versions of shared pods.
        """
        return f"{self.pool(home)}-versions"

    def labels(self, component: str, revision: str | None = None) -> dict[str, str]:
        """
        Return the labels of an object; a revision's objects carry the revision too.
        """
        labels = {
            DEPLOYMENT_LABEL: self.name,
            COMPONENT_LABEL: component,
            MANAGED_BY_LABEL: MANAGED_BY,
        }
        return {**labels, REVISION_LABEL: revision} if revision else labels

    def selector(self, component: str, revision: str | None = None) -> dict[str, str]:
        """
        Return the labels that select pods.
        """
        labels = self.labels(component, revision)
        del labels[MANAGED_BY_LABEL]
        return labels

    def metadata(self, name: str, component: str, revision: str | None = None) -> dict[str, Any]:
        """
        Build the metadata of an owned object.
        """
        return {
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(component, revision),
            "ownerReferences": [self.reference()],
        }

    def reference(self) -> dict[str, Any]:
        """
        Build the controller reference, by which the cluster's garbage collector cleans up.
        """
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def server_selector_text(self) -> str:
        """
        Return the selector of all serving pods, as the scale subresource wants it.
        """
        return f"{DEPLOYMENT_LABEL}={self.name},{COMPONENT_LABEL}={SERVER}"
