"""
kopf's handlers. Every one ends in `queue.ask`: which event came never matters.
"""

from typing import Any

import kopf

from modeldeploy_operator.manifests import names
from modeldeploy_operator.queue import WorkQueue
from modeldeploy_operator.resource import GROUP, PLURAL, VERSION

WATCHED_CHILDREN = (("apps", "v1", "deployments"), ("v1", "pods"))


def register(registry: kopf.OperatorRegistry, queue: WorkQueue) -> None:
    """
    Watch ModelDeployments, and the children whose changes matter between two looks.
    """

    async def on_object(namespace: str | None, name: str, **_: Any) -> None:
        queue.ask(str(namespace), name)

    async def on_child(namespace: str | None, labels: Any, **_: Any) -> None:
        queue.ask(str(namespace), labels[names.DEPLOYMENT_LABEL])

    kopf.on.login(registry=registry, id="login")(_log_in)
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="object")(on_object)
    for child in WATCHED_CHILDREN:
        labels = {names.DEPLOYMENT_LABEL: kopf.PRESENT}
        kopf.on.event(*child, labels=labels, registry=registry, id=child[-1])(on_child)


def _log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """
    Find credentials: the pod's service account, or the kubeconfig outside a cluster.
    """
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def configure(settings: kopf.OperatorSettings) -> None:
    """
    Set kopf up: no events of its own, no finalizers, and watches that cannot fall silent.
    """
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 300
    for child in WATCHED_CHILDREN:
        settings.watching.label_selectors[child] = names.DEPLOYMENT_LABEL
    settings.scanning.disabled = True
