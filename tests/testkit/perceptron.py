"""
Perceptrons as SavedModels for measurements: by default with 784, 512, 512 and 10 units.

They are written by a process of their own (``python -m testkit.perceptron FOLDER``), so that
whoever measures holds no graph of theirs.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

WIDTHS = (784, 512, 512, 10)


def write(target: Path, widths: Sequence[int] = WIDTHS) -> None:
    """
    Write one version with weights that do not matter.
    """
    module = tf.Module()
    pairs = list(itertools.pairwise(widths))
    module.weights = [tf.Variable(tf.random.normal(pair, stddev=0.05, seed=1)) for pair in pairs]
    module.biases = [tf.Variable(tf.zeros([width])) for width in widths[1:]]

    def predict(x: Any) -> dict[str, Any]:
        for weights, biases in zip(module.weights, module.biases, strict=True):
            x = tf.nn.relu(tf.matmul(x, weights) + biases)
        return {"y": x}

    specs = [tf.TensorSpec([None, widths[0]], tf.float32, name="x")]
    module.predict = tf.function(predict, input_signature=specs)
    tf.saved_model.save(module, str(target), signatures={"serving_default": module.predict})


def main() -> None:
    """
    Write what the command line asks for.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=0, help="in place of the default ones")
    parser.add_argument("--width", type=int, default=64)
    arguments = parser.parse_args()
    layers, width = arguments.layers, arguments.width
    write(arguments.folder, [width] * (layers + 1) if layers else WIDTHS)


if __name__ == "__main__":
    main()
