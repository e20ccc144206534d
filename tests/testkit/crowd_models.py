"""
A SavedModel that tells how many rows it was given, once for each way of batching.
"""

import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

WAIT = "batch_timeout_micros { value: 60000000 }"
"""Batches close when they are full, and so the tests decide who shares one."""

PARAMETERS = {
    "four": f"max_batch_size {{ value: 4 }} {WAIT}",
    "two": f"max_batch_size {{ value: 2 }} {WAIT} max_enqueued_batches {{ value: 1 }}",
    "padded": f"max_batch_size {{ value: 2 }} {WAIT} pad_variable_length_inputs: true",
    "allowed": "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8",
    "splitting": """
        max_batch_size { value: 12 } enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 } allowed_batch_sizes: 4
    """,
    "greedy": "max_batch_size { value: 32 }",
    "alone": None,
    "wrong": "max_batch_size { value: 8 } allowed_batch_sizes: 4",
    "garbled": "max_batch_size 8",
}
"""The text of each model's file of parameters; ``None`` has no file."""


def write_all(folder: Path) -> None:
    """
    Write a model for each entry of the table.
    """
    first, *others = PARAMETERS
    _write(folder / first / "1")
    for name in others:
        shutil.copytree(folder / first, folder / name)
    for name, text in PARAMETERS.items():
        if text is not None:
            (folder / name / "1" / "batching_params.pbtxt").write_text(text)


def _crowd(x: Any) -> Any:
    """
    Tell each row how many there were.
    """
    rows = tf.shape(x)[:1]
    return tf.repeat(rows, rows[0])


def _write(target: Path) -> None:
    numbers = [tf.TensorSpec([None], tf.float32, name="x")]
    counts = [tf.TensorSpec([None], tf.int32, name="n")]
    tokens = [tf.TensorSpec([None, None], tf.int32, name="tokens")]
    pair = [*numbers, tf.TensorSpec([None], tf.float32, name="w")]
    anything = [tf.TensorSpec(None, tf.float32, name="x")]

    def plain(x: Any) -> dict[str, Any]:
        total = tf.repeat(tf.reduce_sum(x), tf.shape(x)[0])
        return {"y": 2.0 * x, "rows": _crowd(x), "total": total}

    def picky(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, "negative")]):
            return {"y": 2.0 * x, "rows": _crowd(x)}

    def toil(n: Any) -> dict[str, Any]:
        limit = tf.reduce_max(n)
        _, total = tf.while_loop(
            lambda i, _: i < limit, lambda i, t: (i + 1, tf.sqrt(t + 1.0)), (0, tf.constant(1.0))
        )
        return {"y": tf.cast(n, tf.float32) + 0.0 * total}

    functions = {
        "serving_default": (plain, numbers),
        "picky": (picky, numbers),
        "toil": (toil, counts),
        "sequences": (lambda tokens: {"same": tokens + 0, "rows": _crowd(tokens)}, tokens),
        "pair": (lambda x, w: {"y": x * w}, pair),
        "scalar": (lambda x: {"y": tf.reduce_sum(x)}, numbers),
        "doubled": (lambda x: {"y": tf.concat([x, x], 0)}, numbers),
        "anything": (lambda x: {"y": tf.identity(x)}, anything),
    }
    module = tf.Module()
    module.functions = {
        name: tf.function(function, input_signature=specs)
        for name, (function, specs) in functions.items()
    }
    tf.saved_model.save(module, str(target), signatures=module.functions)
