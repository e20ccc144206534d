"""
kopf's handler. It ends in `queue.ask`: which event came never matters.

What belongs to a ModelDeployment is watched by `cluster.watching.watch`, which also remembers it.
"""

from typing import Any

import kopf

from modeldeploy_operator.queue import WorkQueue
from modeldeploy_operator.resource import GROUP, PLURAL, VERSION


def register(registry: kopf.OperatorRegistry, queue: WorkQueue) -> None:
    """
    Watch ModelDeployments.
    """

    async def on_object(namespace: str | None, name: str, **_: Any) -> None:
        queue.ask(str(namespace), name)

    kopf.on.login(registry=registry, id="login")(_log_in)
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="object")(on_object)


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
    settings.scanning.disabled = True
