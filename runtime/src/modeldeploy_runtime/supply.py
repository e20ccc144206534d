"""
Puts together what brings versions into service: source, platforms and manager.

    source ──► router ──► adapter ──► manager ──► handles
    (which versions are wanted)  (loaders of a platform)  (which are loaded)
"""

import contextlib
import logging
from collections.abc import Iterable

from modeldeploy_runtime.batching.platform import Batching
from modeldeploy_runtime.lifecycle import availability_preserving, resource_preserving
from modeldeploy_runtime.lifecycle.events import EventBus
from modeldeploy_runtime.lifecycle.manager import Manager
from modeldeploy_runtime.lifecycle.options import Options, Retries
from modeldeploy_runtime.loaders import cpus, interfaces, memory
from modeldeploy_runtime.loaders.platforms import TENSORFLOW, Platforms
from modeldeploy_runtime.loaders.port import LoadOptions
from modeldeploy_runtime.loaders.savedmodel import SavedModelPlatform
from modeldeploy_runtime.settings import Settings, batching, session_config
from modeldeploy_runtime.sources.models import ServedModel
from modeldeploy_runtime.sources.port import SourceOptions
from modeldeploy_runtime.sources.router import SourceRouter
from modeldeploy_runtime.telemetry.metrics import Metrics
from modeldeploy_runtime.warmup.warm_up import WarmUp, WarmUpOptions

_log = logging.getLogger(__name__)

_POLICIES = {
    "availability_preserving": availability_preserving.next_action,
    "resource_preserving": resource_preserving.next_action,
}


class Lifecycle:
    """
    The parts, joined.

    Attributes:
        bus: Tells of every change of a version's state; subscribe before the source starts.
        batching: What computes requests together, if anything does.
    """

    def __init__(self, settings: Settings, models: Iterable[ServedModel], metrics: Metrics) -> None:
        models = list(models)
        self.bus = EventBus()
        self.batching = _batching(settings)
        self.platforms = Platforms(
            _load_options(settings),
            {TENSORFLOW: SavedModelPlatform},
            WarmUp(
                _warm_up_options(settings),
                metrics,
                *((self.batching.sizes,) if self.batching else ()),
            ),
            *((self.batching.wrap,) if self.batching else ()),
        )
        self.manager = Manager(
            _options(settings), lambda: memory.room(settings.memory_limit_bytes), self.bus
        )
        self.source = SourceRouter(
            lambda model, versions: self.manager.set_aspired(
                model.name, self.platforms.adapt(model.platform, versions)
            ),
            _source_options(settings),
        )
        self.source.set_models(models)
        self._first = frozenset(model.platform for model in models)

    def prepare(self) -> None:
        """Import what the first models need, which takes seconds."""
        for name in self._first:
            # Whatever is wrong with a platform, the loads of its models say.
            with contextlib.suppress(Exception):
                self.platforms.get(name).prepare()


def _batching(settings: Settings) -> Batching | None:
    chosen = batching.for_all_models(settings)
    if chosen is None:
        return None
    for remark in chosen.remarks:
        _log.warning("%s: %s", settings.batching_parameters_file, remark)
    return Batching(chosen, per_model=settings.enable_per_model_batching_parameters)


def _options(settings: Settings) -> Options:
    processors = cpus.available()
    return Options(
        policy=_POLICIES[settings.version_transition_policy],
        retries=Retries(settings.max_num_load_retries, settings.load_retry_interval_micros / 1e6),
        first_load_threads=max(8, 4 * processors),
        load_threads=settings.num_load_threads or max(4, processors),
        unload_threads=settings.num_unload_threads or max(4, processors),
        unload_timeout=settings.unload_timeout,
        check=interfaces.differences if settings.refuse_incompatible_versions else None,
    )


def _warm_up_options(settings: Settings) -> WarmUpOptions:
    return WarmUpOptions(
        enabled=settings.enable_model_warmup,
        iterations=settings.num_request_iterations_for_warmup,
        is_required=settings.warmup_failure == "fail",
        made_up=settings.synthetic_warmup,
    )


def _source_options(settings: Settings) -> SourceOptions:
    return SourceOptions(
        poll_seconds=settings.file_system_poll_wait_seconds,
        longest_wait=settings.storage_poll_longest_wait,
        any_name=settings.version_names == "any",
        cache=settings.model_cache_dir,
    )


def _load_options(settings: Settings) -> LoadOptions:
    both = settings.tensorflow_session_parallelism
    return LoadOptions(
        intra_op_threads=settings.tensorflow_intra_op_parallelism or both,
        inter_op_threads=settings.tensorflow_inter_op_parallelism or both,
        tags=tuple(settings.saved_model_tags.split(",")),
        session_config=session_config.read(settings.tensorflow_session_config_file),
        compile_for_cpu=settings.xla_cpu_compilation_enabled,
        bfloat16=settings.mixed_precision == "bfloat16",
    )
