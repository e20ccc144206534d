"""
Flags of TensorFlow Serving that cannot mean anything here.

They are accepted, so that a command line that works there works here; a warning at the start names
each that was given and the reason.
"""

from dataclasses import dataclass

from modeldeploy_runtime.flags import flag

_GPU = "this server computes on CPUs"
_TPU = "this server does not know TPUs"
_TFLITE = "this server loads SavedModels with TensorFlow"


@dataclass(frozen=True)
class ForeignFlags:
    """Accepted, and without effect."""

    use_alts_credentials: bool = flag(
        default=False,
        help_text="Google's ALTS for gRPC.",
        unused="ALTS exists inside Google's cloud only; use --ssl_config_file",
    )
    platform_config_file: str = flag(
        "",
        "A PlatformConfigMap.",
        unused="the loaders are configured by flags of their own",
    )
    thread_pool_factory_config_file: str = flag(
        "",
        "A ThreadPoolFactoryConfig.",
        unused="threads follow the CPUs that the cgroup grants and the --tensorflow_ flags",
    )
    flush_filesystem_caches: bool = flag(
        default=True,
        help_text="Drop TensorFlow's caches of remote files after loading.",
        unused="a version is on the local disk before it is loaded, so that there are none",
    )
    remove_unused_fields_from_bundle_metagraph: bool = flag(
        default=True,
        help_text="Keep only the signatures of a loaded graph's description.",
        unused="nothing else of it is ever kept",
    )
    enable_profiler: bool = flag(
        default=True,
        help_text="Offer TensorFlow's ProfilerService.",
        unused="there is no profiler service",
    )
    per_process_gpu_memory_fraction: float = flag(0.0, "The share of a GPU's memory.", unused=_GPU)
    xla_gpu_compilation_enabled: bool = flag(
        default=False, help_text="Compile the graphs for GPUs with XLA.", unused=_GPU
    )
    skip_initialize_tpu: bool = flag(
        default=False, help_text="Leave the TPU alone at the start.", unused=_TPU
    )
    prefer_tflite_model: bool = flag(
        default=False, help_text="Serve model.tflite where it is there.", unused=_TFLITE
    )
    num_tflite_pools: int = flag(0, "Pools of TensorFlow Lite interpreters.", unused=_TFLITE)
    num_tflite_interpreters_per_pool: int = flag(
        1, "TensorFlow Lite interpreters in each pool.", unused=_TFLITE
    )
