"""
Flags that are understood and have no effect yet; a warning at the start names each that was given.

Whoever gives one its effect takes its line away.
"""

NOT_WIRED = frozenset(
    {
        "batching_parameters_file",
        "enable_batching",
        "enable_per_model_batching_parameters",
    }
)
