"""
What the server counts, for Prometheus.

Labels never hold what a client may invent: a model that does not exist is counted as ``_unknown``,
and the series of a version are dropped once nobody knows the version any more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.process_collector import ProcessCollector

from modeldeploy_runtime.servables.ids import ServableId
from modeldeploy_runtime.servables.states import State, VersionStatus
from modeldeploy_runtime.telemetry import catalogue, exposition
from modeldeploy_runtime.telemetry.calls import NO_API, SHADOW, UNKNOWN, Call
from modeldeploy_runtime.telemetry.cells import Distribution, Number, Store
from modeldeploy_runtime.telemetry.exposition import Buckets, Definition, Family, Labels

# More series than this are looked through for gone versions even if nobody ever reads them.
MANY_SERIES = 2_000

StateSource = Callable[[], Iterable[tuple[ServableId, VersionStatus]]]
FamilySource = Callable[[], Iterable[Family]]

# How TensorFlow Serving names what a request asked for, in request_latency and runtime_latency.
_RUNTIME_API = {
    "predict": "Predict",
    "classify": "Classify",
    "regress": "Regress",
    "multi_inference": "MultiInference",
}
_COUNTED_OVER_GRPC = frozenset({"predict", "classify", "regress"})


@dataclass(slots=True)
class _RequestCells:
    """The cells that requests with the same labels add to."""

    count: Number
    latency: Distribution
    run: Distribution | None
    tf_count: Number | None
    tf_latency: Distribution | None
    tf_run: Distribution | None


class Metrics:
    """All metrics of one server; threads may call every method at any time."""

    def __init__(self, states: StateSource) -> None:
        self._states = states
        self._sources: list[FamilySource] = []
        self._store = store = Store()
        self._requests: dict[tuple[str, ...], _RequestCells] = {}
        self._paths: dict[str, tuple[str, str]] = {}
        self._numbers = {
            definition: store.numbers(definition)
            for definition in catalogue.ALL
            if definition.kind != "histogram"
        }
        self._distributions = {
            definition: store.distributions(definition)
            for definition in catalogue.ALL
            if definition.kind == "histogram"
        }
        self._process = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self._process)

    def answered(self, call: Call, code: str, seconds: float) -> None:
        """Count one answered request; this is what every request pays for."""
        labels = (call.entrypoint, call.api, call.model, call.version, call.signature, code)
        with self._store.lock:
            cells = self._requests.get(labels) or self._cells_for(labels)
            cells.count.value += 1
            cells.latency.add(seconds)
            if cells.tf_count is not None:
                cells.tf_count.value += 1
            if cells.tf_latency is not None:
                cells.tf_latency.add(seconds * 1e6)
            if call.run_seconds and cells.run is not None and cells.tf_run is not None:
                cells.run.add(call.run_seconds)
                cells.tf_run.add(call.run_seconds * 1e6)
        if call.examples:
            self._count_examples(call)

    def load_attempted(
        self, servable: ServableId, path: str, code: str, stages: Mapping[str, float]
    ) -> None:
        """Count one attempt to load a version; ``stages`` are its parts in seconds."""
        seconds = sum(stages.values())
        status = "success" if code == "OK" else "fail"
        with self._store.lock:
            self._paths[path] = (servable.name, servable.version_text)
            self._number(catalogue.TF_LOAD_ATTEMPTS, path, status).value += 1
            self._number(catalogue.TF_LOAD_LATENCY, path).value += int(seconds * 1e6)
            for stage, duration in stages.items():
                self._distribution(catalogue.TF_LOAD_STAGES, path, stage).add(duration * 1e6)
            self._number(catalogue.LOADS, code, servable.name).value += 1

    def has_lineage(self, servable: ServableId) -> None:
        """Note that a version comes with the id of its entry in a store of metadata."""
        with self._store.lock:
            name, version = servable.name, servable.version_text
            self._number(catalogue.TF_MLMD_MAP, name, version).value = 0

    def warmed_up(
        self, servable: ServableId, path: str, code: str, seconds: float, records: int
    ) -> None:
        """Count one warm-up of a version, with the number of records that were read."""
        version = (servable.name, servable.version_text)
        with self._store.lock:
            self._paths[path] = version
            self._distribution(catalogue.TF_WARMUP_LATENCY, path, code).add(seconds * 1e6)
            self._number(catalogue.TF_WARMUP_RECORDS, path, code).value += records
            self._number(catalogue.WARMUP_TIME, *version).value = seconds
            self._number(catalogue.WARMUP_RECORDS, *version).value = records

    def request_logged(self, model: str, code: str) -> None:
        """Count one sampled request: ``OK`` is written, anything else says why it is not."""
        outcome = "written" if code == "OK" else "dropped"
        with self._store.lock:
            self._number(catalogue.TF_REQUEST_LOG_COUNT, model, code).value += 1
            self._number(catalogue.REQUEST_LOG_RECORDS, model, outcome).value += 1

    def add_source(self, source: FamilySource) -> None:
        """Ask somebody for families at each reading."""
        self._sources.append(source)

    def expose(self, names: frozenset[str] = frozenset()) -> bytes:
        """Write the named metrics in Prometheus' text format, or everything."""
        states = list(self._states())
        with self._store.lock:
            self._forget_gone(states)
        families = {family.definition: family for family in self._store.read()}
        for source in (lambda: _of_versions(states), *self._sources):
            families.update((family.definition, family) for family in source())
        wanted = [
            family for family in families.values() if not names or family.definition.name in names
        ]
        process = self._process.restricted_registry(names) if names else self._process
        return exposition.write(wanted).encode("utf-8", "replace") + generate_latest(process)

    def _number(self, definition: Definition, *labels: str) -> Number:
        return self._numbers[definition].of(*labels)

    def _distribution(self, definition: Definition, *labels: str) -> Distribution:
        return self._distributions[definition].of(*labels)

    def _count_examples(self, call: Call) -> None:
        with self._store.lock:
            self._distribution(catalogue.TF_EXAMPLE_COUNTS, call.model).add(call.examples)
            self._number(catalogue.TF_EXAMPLE_TOTAL, call.model).value += call.examples
            own = self._number(catalogue.EXAMPLES, call.api, call.model, call.version)
            own.value += call.examples

    def _cells_for(self, labels: tuple[str, ...]) -> _RequestCells:
        """Find or make the cells of a request; the caller holds the lock."""
        if len(self._requests) > MANY_SERIES:
            self._forget_gone(list(self._states()))
        entrypoint, api, model, version, signature, code = labels
        succeeded = code == "OK"
        latency = (
            self._distribution(catalogue.LATENCY, api, entrypoint, model, signature, version)
            if succeeded
            else self._distribution(catalogue.FAILED_LATENCY, api, code, entrypoint, model, version)
        )
        run = tf_run = tf_count = tf_latency = None
        if (runtime_api := _RUNTIME_API.get(api)) and version:
            run = self._distribution(catalogue.RUN_LATENCY, model, signature, version)
            tf_run = self._distribution(catalogue.TF_RUNTIME_LATENCY, model, runtime_api, "TF1")
        if entrypoint != SHADOW and (entrypoint == "REST" or api in _COUNTED_OVER_GRPC):
            named = "" if api == NO_API else model
            tf_count = self._number(catalogue.TF_REQUEST_COUNT, named, code)
            if succeeded:
                tf_latency = self._distribution(
                    catalogue.TF_REQUEST_LATENCY, model, _tf_api(entrypoint, api), entrypoint
                )
        count = self._number(catalogue.REQUESTS, api, code, entrypoint, model, signature, version)
        cells = _RequestCells(count, latency, run, tf_count, tf_latency, tf_run)
        self._requests[labels] = cells
        return cells

    def _forget_gone(self, states: Iterable[tuple[ServableId, VersionStatus]]) -> None:
        """Drop the series of versions and models that are gone; the caller holds the lock."""
        versions = {(servable.name, servable.version_text) for servable, _ in states}
        if not versions:
            return
        models = {name for name, _ in versions} | {UNKNOWN, ""}

        self._paths = {path: of for path, of in self._paths.items() if of in versions}

        def is_gone(labels: dict[str, str]) -> bool:
            if "model_path" in labels:
                return labels["model_path"] not in self._paths
            model = labels.get("model", labels.get("model_name", ""))
            version = labels.get("version", "")
            return model not in models or (version != "" and (model, version) not in versions)

        self._store.forget(is_gone)
        self._requests.clear()


def _tf_api(entrypoint: str, api: str) -> str:
    if entrypoint == "GRPC":
        return _RUNTIME_API[api]
    return api if api in _COUNTED_OVER_GRPC else ""


def _of_versions(states: Iterable[tuple[ServableId, VersionStatus]]) -> tuple[Family, ...]:
    """Make the families that only repeat what is known of the versions."""
    state: dict[Labels, float | Buckets] = {}
    memory: dict[Labels, float | Buckets] = {}
    load: dict[Labels, float | Buckets] = {}
    for servable, status in states:
        version = servable.version_text
        for each in State:
            state[servable.name, each.value, version] = int(each is status.state)
        if status.memory_bytes:
            memory[servable.name, version] = status.memory_bytes
        if status.load_seconds:
            load[servable.name, version] = status.load_seconds
    return (
        Family(catalogue.MODEL_STATE, state),
        Family(catalogue.MODEL_MEMORY, memory),
        Family(catalogue.LOAD_TIME, load),
    )
