"""
Flags that are understood and have no effect yet; a warning at the start names each that was given.

Whoever gives one its effect takes its line away.
"""

NOT_WIRED = frozenset(
    {
        "batching_parameters_file",
        "enable_batching",
        "enable_per_model_batching_parameters",
        "mixed_precision",
        "remove_unused_fields_from_bundle_metagraph",
        "tensorflow_session_config_file",
        "tensorflow_session_parallelism",
        "xla_cpu_compilation_enabled",
    }
)
