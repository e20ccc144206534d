"""
Small SavedModels, each for one way in which a server may be asked or may fail.

They are written by a process of their own (``python -m testkit.saved_models FOLDER``), so that the
process of the tests holds no graph of theirs.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from testkit import crowd_models, example_models

DTYPES = (
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "string",
    "float16",
    "bfloat16",
    "complex64",
    "complex128",
)


def make_all(folder: Path) -> None:
    """
    Write every model below a folder.
    """
    command = [sys.executable, "-m", "testkit.saved_models", str(folder)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1], capture_output=True)


def _save(target: Path, signatures: Mapping[str, tuple[Callable[..., Any], list[Any]]]) -> None:
    module = tf.Module()
    functions = {
        name: tf.function(function, input_signature=specs)
        for name, (function, specs) in signatures.items()
    }
    module.functions = functions
    tf.saved_model.save(module, str(target), signatures=functions)


def half_plus(target: Path, offset: float) -> None:
    """
    Write x / 2 + offset, with variables as a trained model has them.
    """
    module = tf.Module()
    module.slope, module.offset = tf.Variable(0.5), tf.Variable(offset)

    def predict(x: Any) -> dict[str, Any]:
        return {"y": x * module.slope + module.offset}

    specs = [tf.TensorSpec([None], tf.float32, name="x")]
    module.predict = tf.function(predict, input_signature=specs)
    tf.saved_model.save(module, str(target), signatures={"serving_default": module.predict})


def _sums(target: Path) -> None:
    """
    Write a signature with two inputs and two outputs, and one whose second input has a default.
    """
    pairs = tf.TensorSpec([None, 2], tf.float32, name="a"), tf.TensorSpec([None], tf.float32, "b")
    numbers = [tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([], tf.float32, "by")]
    _save(
        target,
        {
            "serving_default": (
                lambda a, b: {"sum": tf.reduce_sum(a, axis=1) + b, "doubled": 2.0 * a},
                list(pairs),
            ),
            "scaled": (lambda x, by: {"y": x * by}, numbers),
        },
    )
    path = target / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    definition = saved.meta_graphs[0].signature_def["scaled"]
    definition.defaults["by"].CopyFrom(tf.make_tensor_proto(3.0, dtype=tf.float32))
    path.write_bytes(saved.SerializeToString())


def _kinds(target: Path) -> None:
    """
    Write a signature for each type of element that gives back what it gets.
    """

    def identity(x: Any) -> dict[str, Any]:
        return {"y": tf.identity(x)}

    _save(
        target,
        {
            name: (identity, [tf.TensorSpec(None, tf.dtypes.as_dtype(name), name="x")])
            for name in DTYPES
        },
    )


def _shapes(target: Path) -> None:
    """
    Write outputs that do not fit the row form, and a signature without inputs.
    """
    numbers = [tf.TensorSpec([None], tf.float32, name="x")]
    text = [tf.TensorSpec([None], tf.string, name="text")]
    _save(
        target,
        {
            "scalar": (lambda x: {"y": tf.reduce_sum(x)}, numbers),
            "uneven": (lambda x: {"a": x, "b": x[:1]}, numbers),
            "constant": (lambda: {"y": tf.constant([1.0])}, []),
            "text": (lambda text: {"same": text, "same_bytes": tf.identity(text)}, text),
            "complex": (lambda x: {"y": tf.cast(x, tf.complex64)}, numbers),
            "half": (lambda x: {"y": tf.cast(x, tf.float16)}, numbers),
            "passed": (lambda x: {"x": x, "y": x + 1.0}, numbers),
        },
    )


def _slow(target: Path) -> None:
    """
    Write a model that counts, so that a request takes as long as one wants.
    """

    def count(n: Any) -> dict[str, Any]:
        def step(i: Any, total: Any) -> tuple[Any, Any]:
            return i + 1, tf.sqrt(total + 1.0)

        _, total = tf.while_loop(lambda i, _: i < n[0], step, (tf.constant(0), tf.constant(1.0)))
        return {"total": tf.reshape(total, [1])}

    _save(
        target,
        {"serving_default": (count, [tf.TensorSpec([1], tf.int32, name="n")])},
    )


def _products(target: Path) -> None:
    """
    Write products with a unit matrix, which give back what they get, as precisely as computed.
    """

    def multiply(x: Any) -> dict[str, Any]:
        for _ in range(4):
            x = tf.nn.relu(tf.linalg.matmul(x, tf.eye(64)))
        return {"y": x}

    specs = [tf.TensorSpec([None, 64], tf.float32, name="x")]
    _save(target, {"serving_default": (multiply, specs)})


def _write_all(folder: Path) -> None:
    half_plus(folder / "half_plus_two" / "00000001", 2.0)
    half_plus(folder / "half_plus_two" / "2", 3.0)
    _sums(folder / "sums" / "1")
    _kinds(folder / "kinds" / "1")
    _shapes(folder / "shapes" / "1")
    _slow(folder / "slow" / "1")
    _products(folder / "products" / "1")
    example_models.write(folder / "heads" / "1")
    crowd_models.write_all(folder / "crowd")
    broken = folder / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"This is no SavedModel at all.")
    incomplete = folder / "incomplete" / "1"
    half_plus(incomplete, 2.0)
    (incomplete / "variables" / "variables.data-00000-of-00001").unlink()


if __name__ == "__main__":
    _write_all(Path(sys.argv[1]))
