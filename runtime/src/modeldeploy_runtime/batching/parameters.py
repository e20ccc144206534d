"""
What a person may decide about batching: TensorFlow Serving's ``BatchingParameters``, pure.

The file of ``--batching_parameters_file``, and ``batching_params.pbtxt`` in a version's folder, are
the text of that message.
"""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf import text_format

from modeldeploy_runtime.batching.batch_queue import QueueOptions
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import InvalidArgumentError

# The file, in a version's folder, that decides for this version alone.
MODEL_FILE = "batching_params.pbtxt"
# Without a file the threads have another name than with a file that does not say.
POOL_NAME_WITHOUT_FILE = "model_server_batch_threads"


@dataclass(frozen=True, slots=True)
class BatchingParameters:
    """
    The parameters, checked, with TensorFlow Serving's defaults.

    ``num_batch_threads`` is 0 for as many as the cgroup grants CPUs.  ``remarks`` are sentences
    about what the file says without any effect.
    """

    queue: QueueOptions = field(default_factory=QueueOptions)
    num_batch_threads: int = 0
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    remarks: tuple[str, ...] = ()

    def padded_size(self, rows: int) -> int:
        """
        Round a number of rows up to the next allowed one.

        With 4 and 8 allowed, 3 becomes 4, 5 becomes 8, and 9, which no check lets through, stays.
        """
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def parse(text: str, where: str) -> BatchingParameters:
    """
    Read a file's text; ``where`` is its name, for the message of an error.

    Raises:
        InvalidArgumentError: The text is no such message, or its values contradict each other.
    """
    try:
        message = text_format.Parse(text, messages.BatchingParameters())
    except text_format.ParseError as error:
        raise InvalidArgumentError(
            f"Error parsing text-format tensorflow.serving.BatchingParameters: {where}: {error}"
        ) from error
    return from_message(message)


def from_message(message: Any) -> BatchingParameters:
    """
    Check a message and fill in what it leaves out.

    Raises:
        InvalidArgumentError: Its values are out of range or contradict each other.
    """
    defaults = QueueOptions()
    size = _value(message, "max_batch_size", defaults.max_batch_size)
    splitting = _value(message, "enable_large_batch_splitting", default=False)
    queue = QueueOptions(
        max_batch_size=size,
        max_execution_batch_size=(
            _value(message, "max_execution_batch_size", size) if splitting else size
        ),
        batch_timeout=_value(message, "batch_timeout_micros", 0) / 1e6,
        max_enqueued_batches=_value(message, "max_enqueued_batches", defaults.max_enqueued_batches),
        enable_large_batch_splitting=splitting,
    )
    threads = _value(message, "num_batch_threads", 0)
    if message.HasField("num_batch_threads") and threads < 1:
        raise InvalidArgumentError(f"num_batch_threads must be positive; was {threads}")
    _check_queue(queue)
    allowed = tuple(message.allowed_batch_sizes)
    _check_allowed(allowed, queue)
    remarks: tuple[str, ...] = ()
    if message.HasField("max_execution_batch_size") and not splitting:
        remarks = ("max_execution_batch_size has no effect without enable_large_batch_splitting.",)
    return BatchingParameters(
        queue=queue,
        num_batch_threads=threads,
        thread_pool_name=_value(message, "thread_pool_name", "batch_threads"),
        allowed_batch_sizes=allowed,
        pad_variable_length_inputs=message.pad_variable_length_inputs,
        remarks=remarks,
    )


def _value(message: Any, name: str, default: Any) -> Any:
    return getattr(message, name).value if message.HasField(name) else default


def _check_queue(queue: QueueOptions) -> None:
    if queue.max_batch_size < 1:
        raise InvalidArgumentError(f"max_batch_size must be positive; was {queue.max_batch_size}")
    if queue.batch_timeout < 0:
        raise InvalidArgumentError(
            f"batch_timeout_micros must be non-negative; was {round(queue.batch_timeout * 1e6)}"
        )
    if queue.max_enqueued_batches < 0:
        raise InvalidArgumentError(
            f"max_enqueued_batches must be non-negative; was {queue.max_enqueued_batches}"
        )
    execution = queue.max_execution_batch_size
    if not 1 <= execution <= queue.max_batch_size:
        raise InvalidArgumentError(
            "max_execution_batch_size must be positive and at most max_batch_size; was "
            f"{execution}, with max_batch_size {queue.max_batch_size}"
        )


def _check_allowed(allowed: tuple[int, ...], queue: QueueOptions) -> None:
    if not allowed:
        return
    ascending = all(one < two for one, two in zip((0, *allowed), allowed, strict=False))
    if not ascending:
        raise InvalidArgumentError(
            "allowed_batch_sizes entries must be positive and monotonically increasing; were "
            f"{', '.join(map(str, allowed))}"
        )
    expected = queue.max_execution_batch_size
    if allowed[-1] != expected:
        rule = "must match max_batch_size"
        if queue.enable_large_batch_splitting:
            rule = "must be equal to max_execution_batch_size"
        raise InvalidArgumentError(
            f"Last entry in allowed_batch_sizes {rule}; last entry was {allowed[-1]}; "
            f"expected {expected}"
        )
