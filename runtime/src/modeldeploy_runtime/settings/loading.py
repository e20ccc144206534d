"""Flags about how versions are loaded and computed."""

from dataclasses import dataclass

from modeldeploy_runtime.flags import Duration, flag


@dataclass(frozen=True)
class LoadFlags:
    """Loading, warming up and unloading."""

    version_transition_policy: str = flag(
        "availability_preserving",
        "How a version takes another one's place: `availability_preserving` unloads the old one "
        "when the new one answers, `resource_preserving` before the new one is loaded.",
        ours=True,
        choices=("availability_preserving", "resource_preserving"),
    )
    refuse_incompatible_versions: bool = flag(
        default=False,
        help_text="Do not serve a version whose signatures break those of the one that serves.",
        ours=True,
    )
    num_load_threads: int = flag(
        0,
        "How many versions that replace others are loaded at once; models that answer nothing yet "
        "are loaded four for each CPU, at least 8.",
        least=0,
        shown="one for each CPU, at least 4",
    )
    num_unload_threads: int = flag(
        0,
        "How many versions are unloaded at once, once their last request is answered. An unload is "
        "so short that nobody sees the number from outside.",
        least=0,
        shown="one for each CPU, at least 4",
    )
    unload_timeout: Duration = flag(
        Duration(300),
        "How long an unload waits for the requests of its version; 0 waits for ever.",
        ours=True,
        shown="5m",
    )
    memory_limit_bytes: int = flag(
        0,
        "What this process may use: a load that does not fit waits or is refused.",
        ours=True,
        least=0,
        shown="what the cgroup and the machine grant",
    )
    max_num_load_retries: int = flag(
        5, "How often a load that may succeed yet is tried again; bad files are not.", least=0
    )
    load_retry_interval_micros: int = flag(
        60_000_000,
        "The longest wait between two tries, in microseconds: the last wait is as long, each one "
        "before it half of the next; a negative number waits not at all.",
    )
    enable_model_warmup: bool = flag(
        default=True,
        help_text="Replay `assets.extra/tf_serving_warmup_requests` before a version is available.",
    )
    num_request_iterations_for_warmup: int = flag(
        0, "How often each of these requests is replayed; 0 stands for once."
    )
    warmup_failure: str = flag(
        "fail",
        "What a recorded request that cannot be replayed does: `fail` the load, or `warn`.",
        ours=True,
        choices=("fail", "warn"),
    )
    synthetic_warmup: bool = flag(
        default=False,
        help_text="Where no requests are recorded, run each signature with made-up inputs: "
        "zeros and empty strings, one row, or with batching as many as each allowed batch size.",
        ours=True,
    )


@dataclass(frozen=True)
class TensorflowFlags:
    """TensorFlow's sessions."""

    saved_model_tags: str = flag("serve", "The tags of the graph to load, separated by commas.")
    tensorflow_session_parallelism: int = flag(
        0, "Threads for both of the two flags below, which must not be given then.", least=0
    )
    tensorflow_intra_op_parallelism: int = flag(
        0,
        "Threads that work on one operation; 0 stands for the default.",
        least=0,
        shown="the CPUs that the cgroup grants",
    )
    tensorflow_inter_op_parallelism: int = flag(
        0, "Operations that run at once; 0 stands for the default.", least=0, shown="1"
    )
    tensorflow_session_config_file: str = flag(
        "", "A file with a ConfigProto as text for TensorFlow's sessions."
    )
    xla_cpu_compilation_enabled: bool = flag(
        default=False, help_text="Compile the graphs for the CPU with XLA."
    )
    mixed_precision: str = flag(
        "",
        "`bfloat16` computes in that type where it does no harm, on CPUs that can (AVX-512).",
        choices=("", "bfloat16"),
    )


@dataclass(frozen=True)
class BatchingFlags:
    """Computing several requests at once."""

    enable_batching: bool = flag(default=False, help_text="Join requests into batches.")
    batching_parameters_file: str = flag(
        "", "A file with BatchingParameters as text; only with --enable_batching."
    )
    enable_per_model_batching_parameters: bool = flag(
        default=False,
        help_text="Read `batching_params.pbtxt` in the version's folder, too.",
    )
