"""
Every metric of the server: TensorFlow Serving's under its own names, and plain ones.

TensorFlow Serving's names, labels and buckets are those of its ``util/prometheus_exporter.cc``,
``servables/tensorflow/util.cc``, ``batching/batching_session.cc`` and of TensorFlow's loader.
The labels of the plain ones stand in alphabetical order.
"""

from modeldeploy_runtime.telemetry.exposition import Definition, exponential, fine

# Each bound is less than 10 % above the one before, so that a share of slow requests is exact
# enough to compare two versions by.
LATENCY_BOUNDS = fine(100e-6, 60.0, 1.09)
# For what people look at and nobody compares: 40 % a bucket.
COARSE_BOUNDS = fine(50e-6, 60.0, 1.4)

_MICROSECONDS = exponential(10, 1.8, 33)
_EXAMPLES = exponential(1, 2, 15)
_QUEUING = exponential(100, 1.2, 52)
_BATCHES = exponential(1, 2, 14)


def _tf(
    name: str, kind: str, labels: str, meaning: str, bounds: tuple[float, ...] = ()
) -> Definition:
    return Definition(f":tensorflow:{name}", kind, tuple(labels.split()), meaning, bounds)


def _own(
    name: str, kind: str, labels: str, meaning: str, bounds: tuple[float, ...] = ()
) -> Definition:
    return Definition(f"modeldeploy_{name}", kind, tuple(labels.split()), meaning, bounds)


# TensorFlow Serving's.
TF_REQUEST_COUNT = _tf(
    "serving:request_count",
    "counter",
    "model_name status",
    "Predict, Classify and Regress over gRPC, and every request under /v1 over REST.",
)
TF_REQUEST_LATENCY = _tf(
    "serving:request_latency",
    "histogram",
    "model_name API entrypoint",
    "Microseconds of successful requests.",
    _MICROSECONDS,
)
TF_RUNTIME_LATENCY = _tf(
    "serving:runtime_latency",
    "histogram",
    "model_name API runtime",
    "Microseconds inside the model.",
    _MICROSECONDS,
)
TF_EXAMPLE_COUNTS = _tf(
    "serving:request_example_counts",
    "histogram",
    "model",
    "Examples in a request to classify, regress or both.",
    _EXAMPLES,
)
TF_EXAMPLE_TOTAL = _tf(
    "serving:request_example_count_total",
    "counter",
    "model",
    "Examples in all such requests.",
)
TF_REQUEST_LOG_COUNT = _tf(
    "serving:request_log_count",
    "counter",
    "model_name status_code",
    "Sampled requests by what became of them: OK is written, anything else is dropped.",
)
TF_WARMUP_LATENCY = _tf(
    "serving:model_warmup_latency",
    "histogram",
    "model_path status",
    "Microseconds that a version's warm-up took.",
    _MICROSECONDS,
)
TF_WARMUP_RECORDS = _tf(
    "serving:model_warmup_records_read",
    "counter",
    "model_path status",
    "Warm-up records that were read.",
)
TF_MLMD_MAP = _tf(
    "serving:mlmd_map",
    "gauge",
    "model_name version",
    "0 for a version with a file assets.extra/mlmd_uuid; the text itself cannot be a number.",
)
TF_LOAD_ATTEMPTS = _tf(
    "cc:saved_model:load_attempt_count",
    "counter",
    "model_path status",
    "Attempts to load a version: success or fail.",
)
TF_LOAD_LATENCY = _tf(
    "cc:saved_model:load_latency",
    "counter",
    "model_path",
    "Microseconds of all attempts together.",
)
TF_LOAD_STAGES = _tf(
    "cc:saved_model:load_latency_by_stage",
    "histogram",
    "model_path stage",
    "Microseconds of each part of a load.",
    _MICROSECONDS,
)
TF_SESSION_RUNS = _tf(
    "core:direct_session_runs", "counter", "", "Calls of models, warm-up included."
)
TF_GRAPH_RUNS = _tf("core:graph_runs", "counter", "", "The same: one graph is run in each call.")
TF_GRAPH_TIME = _tf(
    "core:graph_run_time_usecs", "counter", "", "Microseconds inside models, warm-up included."
)
TF_QUEUING_LATENCY = _tf(
    "serving:batching_session:queuing_latency",
    "histogram",
    "thread_pool_name",
    "Microseconds that a request waited for its batch.",
    _QUEUING,
)
TF_WRAPPED_RUNS = _tf(
    "serving:batching_session:wrapped_run_count",
    "counter",
    "",
    "Requests that passed a model's batching by.",
)
TF_PADDING_SIZE = _tf(
    "serving:batching_session:padding_size",
    "histogram",
    "execution_batch_size",
    "Rows that were added to fill a batch up to an allowed size.",
    _BATCHES,
)
TF_INPUT_BATCH_SIZE = _tf(
    "serving:batching_session:input_batch_size",
    "histogram",
    "",
    "Rows of a request.",
    _BATCHES,
)
TF_PROCESSED_BATCH_SIZE = _tf(
    "serving:batching_session:processed_batch_size",
    "histogram",
    "",
    "Rows of a batch as the model got it.",
    _BATCHES,
)

# Ours.
REQUESTS = _own(
    "requests_total",
    "counter",
    "api code entrypoint model signature version",
    "Requests answered, by canonical status code.",
)
LATENCY = _own(
    "request_duration_seconds",
    "histogram",
    "api entrypoint model signature version",
    "Time from a request's last byte to its answer; successful requests only.",
    LATENCY_BOUNDS,
)
FAILED_LATENCY = _own(
    "failed_request_duration_seconds",
    "histogram",
    "api code entrypoint model version",
    "The same for requests that failed.",
    COARSE_BOUNDS,
)
RUN_LATENCY = _own(
    "run_duration_seconds",
    "histogram",
    "model signature version",
    "Time inside the model for one request.",
    COARSE_BOUNDS,
)
EXAMPLES = _own(
    "request_examples_total",
    "counter",
    "api model version",
    "Examples in requests to classify, regress or both.",
)
IN_FLIGHT = _own(
    "requests_in_flight", "gauge", "entrypoint", "Requests that are being answered now."
)
MODEL_STATE = _own(
    "model_state",
    "gauge",
    "model state version",
    "1 for the state in which a version of a model is, 0 for the others.",
)
MODEL_MEMORY = _own(
    "model_memory_bytes",
    "gauge",
    "model version",
    "What a loaded version takes: measured, or estimated if it was not loaded alone.",
)
LOADS = _own(
    "model_loads_total",
    "counter",
    "code model",
    "Attempts to load a version, by canonical status code.",
)
LOAD_TIME = _own(
    "model_load_duration_seconds",
    "gauge",
    "model version",
    "How long the load of a version took, with fetching and warm-up.",
)
WARMUP_TIME = _own(
    "model_warmup_duration_seconds",
    "gauge",
    "model version",
    "How long the warm-up of a version took.",
)
WARMUP_RECORDS = _own(
    "model_warmup_records",
    "gauge",
    "model version",
    "Requests that a version was warmed up with.",
)
QUEUE_DEPTH = _own(
    "batch_queue_depth",
    "gauge",
    "model signature version",
    "Rows of requests that wait for a batch.",
)
REQUEST_LOG_RECORDS = _own(
    "request_log_records_total",
    "counter",
    "model outcome",
    "Sampled requests: written, or dropped because the queue was full or the storage away.",
)
UNOBSERVED = _own(
    "unobserved_requests_total",
    "counter",
    "",
    "Requests that are missing in the access log and the traces: too many came at once.",
)
# What was asked of another version again; `target` is what whoever set it up calls it.
SHADOW_STARTED = _own(
    "shadow_started_seconds", "gauge", "target", "When this target was set, since 1970."
)
SHADOW_COMPARED = _own(
    "shadow_compared_total", "counter", "target", "Requests that another version was asked, too."
)
SHADOW_MISMATCHED = _own(
    "shadow_mismatched_total",
    "counter",
    "reason target",
    "Those that it answered otherwise (different), or not though they are right (refused).",
)
SHADOW_SKIPPED = _own(
    "shadow_skipped_total", "counter", "reason target", "Requests of the sample not compared."
)
SHADOW_VALUES = _own(
    "shadow_values_total", "counter", "target", "Numbers with a fraction that were compared."
)
SHADOW_DIFFERENCE = _own(
    "shadow_difference_total", "counter", "target", "The sum of their absolute differences."
)
SHADOW_LARGEST = _own("shadow_largest_difference", "gauge", "target", "The largest of them.")
SHADOW_ROWS = _own("shadow_rows_total", "counter", "target", "Rows of scores that were compared.")
SHADOW_FLIPS = _own(
    "shadow_flips_total", "counter", "target", "Those whose largest score stands elsewhere."
)
SHADOW_DURATION = _own(
    "shadow_duration_seconds",
    "histogram",
    "side target",
    "Time inside the model for such a request, here and at the target.",
    COARSE_BOUNDS,
)

ALL = tuple(value for value in tuple(globals().values()) if isinstance(value, Definition))
