"""
The composition root: settings, clients, queue and handlers are put together here, nowhere else.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
import prometheus_client
import pydantic

from modeldeploy_operator import handlers
from modeldeploy_operator.cluster import kube, secrets
from modeldeploy_operator.cluster.apply import PODS, RESOURCES, ROUTES, Applier
from modeldeploy_operator.cluster.kube import KubeClient
from modeldeploy_operator.cluster.leases.lease import FencedKube, Lease
from modeldeploy_operator.cluster.shadowing import Shadowing
from modeldeploy_operator.cluster.tokens import Tokens, find_key
from modeldeploy_operator.cluster.watching.cached import CachedKube
from modeldeploy_operator.evidence.external.asking import Asker
from modeldeploy_operator.evidence.external.measuring import Measurer
from modeldeploy_operator.evidence.looks import Looks
from modeldeploy_operator.evidence.probe import Probe
from modeldeploy_operator.leading import LostLeaseError, lead
from modeldeploy_operator.queue import WorkQueue
from modeldeploy_operator.reconcile import Tools, reconcile
from modeldeploy_operator.settings import Settings, read_settings
from modeldeploy_operator.telemetry import health, logs
from modeldeploy_operator.telemetry.events import Recorder
from modeldeploy_operator.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


def main() -> None:
    """
    Run the operator until it is told to stop.
    """
    try:
        settings = read_settings()
    except pydantic.ValidationError as error:
        names = ", ".join(f"MODELDEPLOY_{str(e['loc'][0]).upper()}" for e in error.errors())
        sys.exit(f"The operator cannot start: check the environment variables {names}. {error}")
    logs.set_up(settings.log_level)
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = KubeClient(await kube.connect())
    lease = Lease.named(client, settings.lease, settings.identity)
    key = await find_key(client, settings.own_namespace, settings.key_name)
    async with aiohttp.ClientSession() as session:
        fenced = FencedKube(client, lease.check) if lease else client
        cached = CachedKube(fenced, client, (*RESOURCES, *ROUTES, PODS), settings.namespace)
        shadowing = Shadowing(
            probe := Probe(session), Tokens(cached, key), lease.check if lease else None
        )
        tools = _tools(settings, client, cached, probe, shadowing)
        every = settings.resync_seconds
        queue = WorkQueue(_timed(tools), workers=settings.workers, resync_seconds=every, held=True)
        cached.on_change(queue.ask)
        server = await health.serve(
            settings.liveness_port,
            lambda: health.ailments(*cached.ages(), client.age(), queue.age()),
        )
        log.info("The operator starts.")
        try:
            await lead(
                cached, queue, lease, stop, lambda: handlers.run(queue.ask, settings.namespace)
            )
        except LostLeaseError:
            sys.exit("The operator lost its lease and ends; it begins anew as a standby.")
        finally:
            await tools.measurer.close()
            await server.cleanup()
            await client.close()
    log.info("The operator stopped.")


def _tools(
    settings: Settings,
    client: KubeClient,
    cached: CachedKube,
    probe: Probe,
    shadowing: Shadowing,
) -> Tools:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.start_http_server(settings.metrics_port, registry=registry)
    return Tools(
        kube=cached,
        probe=probe,
        applier=Applier(cached),
        recorder=Recorder(cached),
        metrics=Metrics(registry),
        images=settings.images,
        looks=Looks(),
        measurer=Measurer(Asker(settings.allowed), secrets.reader(client), cached.tell),
        shadowing=shadowing,
    )


def _timed(tools: Tools) -> Callable[[str, str], Awaitable[datetime | None]]:
    async def look(namespace: str, name: str) -> datetime | None:
        started = datetime.now(UTC)
        result = "error"
        try:
            again = await reconcile(tools, namespace, name)
            result = "ok"
        finally:
            tools.metrics.reconciles.labels(result).inc()
            tools.metrics.seconds.observe((datetime.now(UTC) - started).total_seconds())
        return again

    return look


if __name__ == "__main__":
    main()
