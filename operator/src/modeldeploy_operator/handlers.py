"""
kopf's handler. All that it does is to ask for a look: which event came never matters.

What belongs to a ModelDeployment is watched by `cluster.watching.watch`, which also remembers it.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import kopf

from modeldeploy_operator.resource import GROUP, PLURAL, VERSION

Ask = Callable[[str, str], None]


async def run(ask: Ask, namespace: str) -> None:
    """
    Watch the ModelDeployments of a namespace, or of all, until cancelled.

    kopf has a thread and an event loop of its own: when it ends, it waits for every task of its
    loop, cancels those that are left, and takes the signals for itself. What is left of it when
    this returns watches nothing, and does not keep the process.

    Raises:
        Exception: kopf ended by itself.

    """
    loop, ended, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    failures: list[BaseException] = []

    def tell(call: Callable[..., Any], *args: str) -> None:
        with suppress(RuntimeError):  # our loop is closed
            loop.call_soon_threadsafe(call, *args)

    def work() -> None:
        try:
            watch(partial(tell, ask), namespace, stop)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the other thread
            failures.append(error)
        finally:
            tell(ended.set)

    threading.Thread(target=work, name="kopf", daemon=True).start()
    try:
        await ended.wait()
    finally:
        stop.set()
    if failures:
        raise failures[0]
    raise RuntimeError("kopf ended by itself; the operator begins anew")


def watch(ask: Ask, namespace: str, stop: threading.Event) -> None:
    """
    Run kopf until it is told to stop.
    """
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    register(registry, ask)
    configure(settings)
    kopf.run(
        registry=registry,
        settings=settings,
        standalone=True,
        clusterwide=not namespace,
        namespaces=[namespace] if namespace else [],
        stop_flag=stop,
    )


def register(registry: kopf.OperatorRegistry, ask: Ask) -> None:
    """
    Watch ModelDeployments.
    """

    async def on_object(namespace: str | None, name: str, **_: Any) -> None:
        ask(str(namespace), name)

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
