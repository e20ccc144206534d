"""Shows batching's counts under TensorFlow Serving's names, and what waits."""

from collections.abc import Iterator

from modeldeploy_runtime.batching.platform import Batching
from modeldeploy_runtime.telemetry import catalogue
from modeldeploy_runtime.telemetry.exposition import Family


def read(batching: Batching) -> Iterator[Family]:
    """
    Copy all counts.

    The label with the name of the threads is empty, as TensorFlow Serving leaves it.
    """
    counts = batching.stats.read()
    yield Family(catalogue.TF_QUEUING_LATENCY, {("",): counts.queuing_latency})
    yield Family(catalogue.TF_WRAPPED_RUNS, {(): counts.wrapped_run_count})
    yield Family(
        catalogue.TF_PADDING_SIZE,
        {(str(size),): padding for size, padding in counts.padding_size.items()},
    )
    yield Family(catalogue.TF_INPUT_BATCH_SIZE, {(): counts.input_batch_size})
    yield Family(catalogue.TF_PROCESSED_BATCH_SIZE, {(): counts.processed_batch_size})
    yield Family(
        catalogue.QUEUE_DEPTH,
        {
            (servable.name, signature, str(servable.version)): rows
            for (servable, signature), rows in batching.waiting_rows().items()
        },
    )
