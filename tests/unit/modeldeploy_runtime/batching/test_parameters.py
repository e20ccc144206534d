"""
BatchingParameters are read as TensorFlow Serving reads them.
"""

import pytest

from modeldeploy_runtime.batching import parameters
from modeldeploy_runtime.batching.batch_queue import QueueOptions
from modeldeploy_runtime.servables.errors import InvalidArgumentError


def test_nothing_said_means_the_defaults() -> None:
    """
    The defaults are TensorFlow Serving's.
    """
    read = parameters.parse("", "file")
    assert read == parameters.BatchingParameters()
    assert read.queue == QueueOptions(1000, 1000, 0.0, 10, enable_large_batch_splitting=False)
    assert read.thread_pool_name == "batch_threads"


def test_everything_may_be_said() -> None:
    """
    Every field of the message has its effect.
    """
    read = parameters.parse(
        """
        max_batch_size { value: 128 } batch_timeout_micros { value: 1500 }
        max_enqueued_batches { value: 7 } num_batch_threads { value: 3 }
        thread_pool_name { value: "mine" } allowed_batch_sizes: 8 allowed_batch_sizes: 32
        pad_variable_length_inputs: true enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 32 }
        """,
        "file",
    )
    assert read.queue == QueueOptions(128, 32, 0.0015, 7, enable_large_batch_splitting=True)
    assert (read.num_batch_threads, read.thread_pool_name) == (3, "mine")
    assert read.allowed_batch_sizes == (8, 32)
    assert read.pad_variable_length_inputs
    assert [read.padded_size(rows) for rows in (1, 8, 9, 32)] == [8, 8, 32, 32]
    assert not read.remarks


def test_what_has_no_effect_is_remarked() -> None:
    """
    The size of an execution means something only where large tasks are split.
    """
    read = parameters.parse("max_execution_batch_size { value: 5 }", "file")
    assert read.queue.max_execution_batch_size == 1000
    assert read.remarks == (
        "max_execution_batch_size has no effect without enable_large_batch_splitting.",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "allowed_batch_sizes: 8",
            (
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; "
                "expected 1000"
            ),
        ),
        (
            (
                "max_batch_size { value: 8 } enable_large_batch_splitting { value: true } "
                "max_execution_batch_size { value: 4 } allowed_batch_sizes: 8"
            ),
            (
                "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last "
                "entry was 8; expected 4"
            ),
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 8 allowed_batch_sizes: 8",
            "allowed_batch_sizes entries must be positive and monotonically increasing; were 8, 8",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 0 allowed_batch_sizes: 8",
            "allowed_batch_sizes entries must be positive and monotonically increasing; were 0, 8",
        ),
        ("max_batch_size { value: 0 }", "max_batch_size must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        ("max_enqueued_batches { value: -2 }", "max_enqueued_batches must be non-negative; was -2"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        (
            "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 2000 }",
            (
                "max_execution_batch_size must be positive and at most max_batch_size; was 2000, "
                "with max_batch_size 1000"
            ),
        ),
    ],
)
def test_contradictions_are_told(text: str, message: str) -> None:
    """
    A wrong value is found when the file is read, not when a request meets it.
    """
    with pytest.raises(InvalidArgumentError) as caught:
        parameters.parse(text, "file")
    assert caught.value.message == message


def test_text_that_is_no_message_is_told_with_its_file() -> None:
    """
    The message names the file, the line and what is wrong there.
    """
    with pytest.raises(InvalidArgumentError, match=r"BatchingParameters: here\.txt: 1:1"):
        parameters.parse("size: 3", "here.txt")
