"""
Puts a server together and runs it until it is told to stop.

The ports open at once, whether or not a model can be loaded; readiness is what tells the
difference.  On SIGTERM the server first says that it is not ready, goes on serving for a while so
that everybody can notice, and then finishes what it has begun.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

from modeldeploy_runtime import listening
from modeldeploy_runtime.batching import families
from modeldeploy_runtime.configuration.reload import Reloader
from modeldeploy_runtime.configuration.watch import ConfigFileWatch
from modeldeploy_runtime.inference.calls import Calls
from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.loaders.runs import RUNS
from modeldeploy_runtime.observing import Observing
from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import VersionStatus
from modeldeploy_runtime.settings import Settings
from modeldeploy_runtime.shadow.mirror import Mirror
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.supply import Lifecycle
from modeldeploy_runtime.telemetry import catalogue
from modeldeploy_runtime.telemetry.exposition import Buckets, Family, Labels
from modeldeploy_runtime.transports.grpc.model_management import ModelManagement
from modeldeploy_runtime.transports.grpc.servicers import GrpcOptions, Methods

# How long after the drain's own limit the process may still take to end.
LAST_MOMENT = 2.0

_log = logging.getLogger(__name__)


class Server:
    """Everything that runs in one process; to be used from the event loop's thread alone."""

    def __init__(self, settings: Settings, models: Iterable[ServedModel]) -> None:
        self._settings = settings
        models = list(models)
        self._observing = Observing(settings, self._statuses)
        self._observing.configure(models)
        observer = self._observing.observer
        self._lifecycle = Lifecycle(settings, models, self._observing.metrics)
        manager, self._source = self._lifecycle.manager, self._lifecycle.source
        self._directory = Directory(manager, {model.name: model.labels for model in models})
        self._readiness = Readiness(self._directory, self._source.problem)
        reloader = self._make_reloader(models)
        self._mirror = Mirror()
        calls = self._make_calls()
        methods = self._make_methods(calls, reloader)
        self._app = listening.rest_app(settings, self._directory, calls, self._readiness, observer)
        self._rest = listening.rest_server(settings, self._app)
        self._grpc = listening.grpc_server(settings, methods, self._readiness, observer)
        self._control = listening.control_server(settings, reloader, self._directory, self._mirror)
        self._config_file = _config_file(settings, reloader)
        self._observing.metrics.add_source(self._counted)
        self._observing.metrics.add_source(self._mirror.families)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    def _make_calls(self) -> Calls:
        return Calls(
            self._directory,
            (self._observing.request_log, self._mirror),
            check_method_names=self._settings.enable_signature_method_name_check,
        )

    def _make_methods(self, calls: Calls, reloader: Reloader) -> Methods:
        options = GrpcOptions(
            tensor_content=self._settings.enable_serialization_as_tensor_content,
            session_run=self._settings.enable_session_run,
        )
        management = ModelManagement(
            reloader,
            self._observing.metrics,
            may_reload=self._settings.enable_reload_config_request,
        )
        return Methods(self._directory, calls, options, management)

    def _make_reloader(self, models: Iterable[ServedModel]) -> Reloader:
        reloader = Reloader(
            models,
            self._source.problem,
            self._lifecycle.manager.statuses,
            any_label=self._settings.allow_version_labels_for_unavailable_models,
        )
        # The source goes first: it may refuse a configuration.
        reloader.follow(lambda new: self._source.set_models(new.values()))
        reloader.follow(lambda new: self._directory.update({n: new[n].labels for n in new}))
        reloader.follow(lambda new: self._observing.configure(new.values()))
        return reloader

    async def run(self) -> None:
        """Serve until a signal comes, then drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number.name)
        rest = asyncio.create_task(self._rest.run()) if self._rest else None
        control = asyncio.create_task(self._control.run()) if self._control else None
        if self._grpc:
            self._grpc.start()
        # TensorFlow takes seconds to import: they pass while the first version is looked for.
        threading.Thread(target=self._lifecycle.prepare, name="prepare", daemon=True).start()
        self._source.start()
        if self._config_file:
            self._config_file.start()
        _log.info(
            "Listening: gRPC on port %d, REST on port %d (0 means not at all).",
            self._settings.port,
            self._settings.rest_api_port,
        )
        await self._stop.wait()
        if self._control and control:
            self._control.stop()
            await asyncio.wait((control,), timeout=LAST_MOMENT)
        await self._drain(rest)

    def _statuses(self) -> Iterator[tuple[ServableId, VersionStatus]]:
        for name in self._directory.names:
            for status in self._directory.versions(name):
                yield ServableId(name, status.version, status.name), status

    def _counted(self) -> Iterator[Family]:
        """Say how much is being answered now, what waits, and how much models have run."""
        in_flight: dict[Labels, float | Buckets] = {("REST",): self._app.in_flight.count}
        if self._grpc:
            in_flight["GRPC",] = self._grpc.in_flight.count
        runs, seconds = RUNS.read()
        yield Family(catalogue.IN_FLIGHT, in_flight)
        yield Family(catalogue.TF_SESSION_RUNS, {(): runs})
        yield Family(catalogue.TF_GRAPH_RUNS, {(): runs})
        yield Family(catalogue.TF_GRAPH_TIME, {(): int(seconds * 1e6)})
        if self._lifecycle.batching:
            yield from families.read(self._lifecycle.batching)

    def _on_signal(self, name: str) -> None:
        if self._stop.is_set():
            _log.warning("%s came again: not waiting any longer.", name)
            self._hurry.set()
        else:
            _log.info("%s came: shutting down.", name)
            # At once, not at the loop's next turn: whoever asks from here on is told.
            self._readiness.draining = True
            self._stop.set()

    async def _drain(self, rest: "asyncio.Task[None] | None") -> None:
        """Go on serving for the delay, then finish what is in flight or cut it."""
        await self._wait(asyncio.sleep(self._settings.drain_delay))
        if self._config_file:
            self._config_file.stop()
        self._source.stop()
        limit = self._settings.drain_timeout
        waiting: list[Coroutine[Any, Any, Any]] = []
        if self._grpc:
            stopped = self._grpc.stop(limit)
            waiting.append(asyncio.to_thread(stopped.wait, limit + LAST_MOMENT))
        if self._rest and rest:
            self._rest.stop()
            waiting.append(asyncio.wait((rest,), timeout=limit + LAST_MOMENT))
        await self._wait(*waiting)
        cut = self._app.in_flight.count + self._app.in_flight.cut
        cut += self._grpc.in_flight.count if self._grpc else 0
        if cut:
            _log.warning("%d requests were cut: they took too long to wait for.", cut)
        self._source.close()
        self._mirror.close()
        # What was answered is told before the end, also by a server in a hurry.
        await asyncio.to_thread(self._observing.close, LAST_MOMENT if cut else limit)
        _log.info("The server has stopped.")

    async def _wait(self, *work: Coroutine[Any, Any, Any]) -> None:
        """Wait for all that is given, or until a second signal says to hurry."""
        everything = asyncio.gather(*work)
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait((everything, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()


def _config_file(settings: Settings, reloader: Reloader) -> ConfigFileWatch | None:
    seconds = settings.model_config_file_poll_wait_seconds
    if not settings.model_config_file or not seconds:
        return None
    return ConfigFileWatch(Path(settings.model_config_file), seconds, reloader)
