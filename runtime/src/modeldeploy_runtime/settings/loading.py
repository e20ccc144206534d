"""Flags about how versions are loaded and computed."""

from dataclasses import dataclass

from modeldeploy_runtime.flags import flag


@dataclass(frozen=True)
class LoadFlags:
    """Loading, warming up and unloading."""

    num_load_threads: int = flag(
        0, "How many versions are loaded at once; 0 stands for the default.", least=0
    )
    num_unload_threads: int = flag(
        0, "How many versions are unloaded at once; 0 stands for the default.", least=0
    )
    max_num_load_retries: int = flag(
        5, "How often a load that may succeed yet is tried again; bad files are not.", least=0
    )
    load_retry_interval_micros: int = flag(
        60_000_000, "Microseconds between two tries; a negative number waits not at all."
    )
    enable_model_warmup: bool = flag(
        default=True,
        help_text="Replay `assets.extra/tf_serving_warmup_requests` before a version is available.",
    )
    num_request_iterations_for_warmup: int = flag(
        0, "How often each of these requests is replayed; 0 stands for once."
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
    remove_unused_fields_from_bundle_metagraph: bool = flag(
        default=True,
        help_text="Keep only the signatures of a loaded graph's description.",
    )
    xla_cpu_compilation_enabled: bool = flag(
        default=False, help_text="Compile the graphs for the CPU with XLA."
    )
    mixed_precision: str = flag(
        "", "`bfloat16` computes in that type where it does no harm.", choices=("", "bfloat16")
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
