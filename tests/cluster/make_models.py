"""
Makes the cluster tests' models: half_plus_two in versions that answer version + 1 to an input of 0.

Version 4 loses the data of every request, version 5 refuses every twentieth, and version 6 takes
long for every third.
Version 10 has another output than the others, and version 11 takes more and has one signature more.
Version 12 is version 1 again.
Version 7 has variables that no loader can read, version 8 a graph that is no protocol buffer, and
version 9 is incomplete.
"""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import tensorflow as tf

EXAMPLE = Path(__file__).parents[2] / "examples/half_plus_two/make_model.py"
GOOD = (1, 2, 3)
INPUT = [tf.TensorSpec([None], tf.float32, name="x")]


def _unwell(folder: Path, version: int, illness: Callable[[], tf.Tensor], share: float) -> None:
    """
    Write half_plus_two with an illness that strikes a share of the requests.
    """

    def predict(x: tf.Tensor) -> dict[str, tf.Tensor]:
        struck = tf.random.uniform(()) < share
        return {"y": x * 0.5 + 2.0 + tf.cond(struck, illness, lambda: 0.0)}

    module = tf.Module()
    module.predict = tf.function(predict, input_signature=INPUT)
    signatures = {"serving_default": module.predict}
    tf.saved_model.save(module, str(folder / str(version)), signatures=signatures)


def _data_loss() -> tf.Tensor:
    # No checkpoint, which TensorFlow calls a loss of data: the server's fault.
    lost = tf.raw_ops.RestoreV2(
        prefix="/etc/passwd", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]
    # Of any shape, it would be kept from all traffic as no stand-in for version 1.
    return tf.ensure_shape(lost, [])


def _refusal() -> tf.Tensor:
    with tf.control_dependencies([tf.debugging.Assert(tf.random.uniform(()) > 2.0, ["refused"])]):
        return tf.constant(0.0)


def _long_work() -> tf.Tensor:
    square = tf.random.uniform((512, 512))
    for _ in range(50):
        square = tf.nn.softmax(tf.matmul(square, square))
    return tf.reduce_sum(square) * 0.0


def _renamed(target: Path) -> None:
    """
    Write half_plus_two with an output that no client knows.
    """
    module = tf.Module()
    module.predict = tf.function(lambda x: {"z": x * 0.5 + 11.0}, input_signature=INPUT)
    tf.saved_model.save(module, str(target), signatures={"serving_default": module.predict})


def _widened(target: Path) -> None:
    """
    Write half_plus_two so that it takes numbers of any shape, and has a signature more.
    """

    def predict(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.reshape(x, [-1]) * 0.5 + 12.0}

    module = tf.Module()
    module.predict = tf.function(predict, input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    signatures = {"serving_default": module.predict, "further": module.predict}
    tf.saved_model.save(module, str(target), signatures=signatures)


ILL = {4: (_data_loss, 1.0), 5: (_refusal, 0.05), 6: (_long_work, 0.3)}


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_model", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """
    Write all versions below the folder that the command line names.
    """
    folder = Path(sys.argv[1])
    example = _example()
    for version in GOOD:
        example.export(folder, version, offset=float(version + 1))
    for version, (illness, share) in ILL.items():
        _unwell(folder, version, illness, share)
    _renamed(folder / "10")
    _widened(folder / "11")
    shutil.copytree(folder / "1", folder / "12")
    shutil.copytree(folder / "1", folder / "7")
    index = folder / "7" / "variables" / "variables.index"
    index.write_bytes(bytes(index.stat().st_size))
    shutil.copytree(folder / "1", folder / "8")
    (folder / "8" / "saved_model.pb").write_bytes(b"this is no graph")
    shutil.copytree(folder / "1", folder / "9")
    next((folder / "9" / "variables").glob("variables.data-*")).unlink()


if __name__ == "__main__":
    main()
