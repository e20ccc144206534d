"""
The composition root, and what happens from the start to SIGTERM.
"""

import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from modeldeploy_router.core.config import Frame
from modeldeploy_router.core.servers import Trust
from modeldeploy_router.settings import Settings, SettingsError, read_settings
from modeldeploy_router.shell.certificate import Certificate, CertificateError
from modeldeploy_router.shell.haproxy import HAProxy, HAProxyError
from modeldeploy_router.shell.knowledge import Knowledge, Known
from modeldeploy_router.shell.kube import API, Watch
from modeldeploy_router.shell.listeners import ListenError, Listeners
from modeldeploy_router.shell.loop import Loop
from modeldeploy_router.shell.tokens import Tokens, TokensError
from modeldeploy_router.shell.web import Web

log = logging.getLogger(__name__)

DEPLOYMENT_LABEL = "serving.modeldeploy.io/deployment"
STAND_IN_SECONDS = 2.0
SIGNAL_SECONDS = 0.2
SPARE_DESCRIPTORS = 200
# A HAProxy that dies more often than this is for the kubelet, which waits longer each time.
MOST_DEATHS = 5
DEATHS_SECONDS = 60.0


def main() -> int:
    """
    Run the router until SIGTERM, and return the exit status.
    """
    level = os.environ.get("MODELDEPLOY_LOG_LEVEL", "INFO")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    try:
        return Router(read_settings(os.environ)).run()
    except (SettingsError, TokensError, CertificateError, ListenError, HAProxyError) as error:
        log.error("%s", error)  # noqa: TRY400  the sentence says it
        return 1


class Router:
    """
    One router: HAProxy and everything around it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._draining = threading.Event()
        self._ended = threading.Event()
        self._over = threading.Event()
        self._stopped = threading.Event()
        self._haproxy = HAProxy(settings.haproxy, settings.name, _frame(settings), self._end)
        ports = {"rest": settings.rest_port, "grpc": settings.grpc_port}
        self._listeners = Listeners(_bind(settings), ports, settings.keeper)
        secrets = _tokens(settings), _certificate(settings)
        self._loop = Loop(self._haproxy, *secrets, _trust(settings))
        self._knowledge = Knowledge(self._loop.wake)

    def run(self) -> int:
        """
        Start everything and wait for the end.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._drain)
        are_awaited = self._listeners.open()
        self._watch()
        threading.Thread(target=self._stand_in, name="stand-in", daemon=True).start()
        self._start(self._first_knowledge() if are_awaited else Known())
        Web((_bind(self._settings), self._settings.status_port), self._loop, self._draining).start()
        arguments = (self._knowledge, self._stopped)
        threading.Thread(target=self._loop.run, args=arguments, name="loop", daemon=True).start()
        return self._wait()

    def _start(self, known: Known) -> None:
        """
        Start HAProxy with what is known, so that clients who wait for it are served at once.
        """
        self._haproxy.start(self._listeners.numbers, self._loop.begin(known))
        if self._draining.is_set():
            self._haproxy.stop()

    def _first_knowledge(self) -> Known:
        log.info("A router before this one has left clients waiting; learning where to send them.")
        end = time.monotonic() + self._settings.patience_seconds + STAND_IN_SECONDS
        while time.monotonic() < end and not self._knowledge.now().is_whole:
            self._draining.wait(0.01)
        return self._knowledge.now()

    def _wait(self) -> int:
        """
        Start HAProxy again whenever it dies, until the router is told to go.
        """
        deaths: list[float] = []
        self._rest()
        while not self._draining.is_set():
            said = self._haproxy.tail()
            log.error("HAProxy ended with status %s. It said:\n%s", self._haproxy.status, said)
            now = time.monotonic()
            deaths = [*(at for at in deaths if now - at < DEATHS_SECONDS), now]
            if len(deaths) > MOST_DEATHS:
                log.error("HAProxy died %d times in %.0f s.", len(deaths), DEATHS_SECONDS)
                return 1
            self._over.clear()
            self._ended.clear()
            self._revive()
            self._rest()
        return self._finish()

    def _rest(self) -> None:
        """
        Wait for an end of HAProxy's, or for a signal.

        The kernel may give a signal to any thread, and its handler runs when this one wakes next.
        """
        while not self._over.wait(SIGNAL_SECONDS):
            pass

    def _revive(self) -> None:
        try:
            self._start(self._knowledge.now())
        except HAProxyError as error:
            if self._haproxy.status is None:
                raise
            # It died at its start, which is told like any other death.
            log.warning("%s", error)
        self._loop.wake()

    def _finish(self) -> int:
        # HAProxy has copies of its own, and decides how long it listens.
        self._listeners.close()
        bound = self._settings.drain_seconds + self._settings.stop_seconds
        if not self._ended.wait(bound + 1.0):
            log.warning("Requests were still in flight after %.0f s; ending now.", bound)
            self._haproxy.kill()
        self._stopped.set()
        log.info("The router has ended.")
        return 0

    def _drain(self, number: int, _frame: FrameType | None) -> None:
        if not self._draining.is_set():
            log.info("Got %s: draining.", signal.Signals(number).name)
            self._draining.set()
            self._haproxy.stop()
            self._over.set()

    def _end(self) -> None:
        self._ended.set()
        self._over.set()

    def _watch(self) -> None:
        settings = self._settings
        if settings.api is None:
            log.warning("KUBERNETES_SERVICE_HOST is not set: only the mounted file is read.")
            return
        api = API(*settings.api, settings.account)
        space = settings.namespace
        Watch(
            api,
            f"/api/v1/namespaces/{space}/configmaps",
            {"fieldSelector": f"metadata.name={settings.name}-routing"},
            self._knowledge.hear_config_maps,
        ).start(self._stopped)
        Watch(
            api,
            f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices",
            {"labelSelector": f"{DEPLOYMENT_LABEL}={settings.name}"},
            self._knowledge.hear_slices,
        ).start(self._stopped)

    def _stand_in(self) -> None:
        """
        Let the mounted file and DNS stand in for the API server until it answers.
        """
        settings = self._settings
        self._stopped.wait(settings.patience_seconds if settings.api else 0)
        while not self._knowledge.is_from_api and not self._stopped.is_set():
            self._knowledge.read_file(settings.routing_file)
            self._knowledge.resolve(
                lambda pool: settings.dns_name.format(
                    service=pool.service, namespace=settings.namespace
                )
            )
            self._stopped.wait(STAND_IN_SECONDS)


def _tokens(settings: Settings) -> Tokens | None:
    return Tokens(settings.tokens) if settings.tokens else None


def _certificate(settings: Settings) -> Certificate | None:
    return Certificate(settings.certificate) if settings.certificate else None


def _trust(settings: Settings) -> Trust | None:
    return Trust(*settings.trust) if settings.trust else None


def _frame(settings: Settings) -> Frame:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = (hard - SPARE_DESCRIPTORS) // 2 if hard != resource.RLIM_INFINITY else sys.maxsize
    return Frame(
        run=str(settings.run),
        threads=settings.threads,
        max_connections=min(settings.max_connections, allowed),
        drain_seconds=settings.drain_seconds,
        stop_seconds=settings.stop_seconds,
        asks_tokens=settings.tokens is not None,
        is_encrypted=settings.certificate is not None,
        trust=_trust(settings),
    )


def _bind(settings: Settings) -> str:
    """
    Return the address to listen on.

    It is the one that is set, else all of both families, or of IPv4 where there is no IPv6.
    """
    if settings.bind:
        return settings.bind
    has_six = socket.has_ipv6 and Path("/proc/net/if_inet6").exists()
    return "::" if has_six else "0.0.0.0"  # noqa: S104  a pod's address is its own
