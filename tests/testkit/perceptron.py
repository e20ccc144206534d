"""
A perceptron of 784, 512, 512 and 10 units, as a SavedModel for measurements.

It is written by a process of its own (``python -m testkit.perceptron FOLDER``), so that whoever
measures holds no TensorFlow.
"""

import itertools
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

WIDTHS = (784, 512, 512, 10)


def write(target: Path) -> None:
    """
    Write one version with weights that do not matter.
    """
    module = tf.Module()
    pairs = list(itertools.pairwise(WIDTHS))
    module.weights = [tf.Variable(tf.random.normal(pair, stddev=0.05, seed=1)) for pair in pairs]
    module.biases = [tf.Variable(tf.zeros([width])) for width in WIDTHS[1:]]

    def predict(x: Any) -> dict[str, Any]:
        for weights, biases in zip(module.weights, module.biases, strict=True):
            x = tf.nn.relu(tf.matmul(x, weights) + biases)
        return {"y": x}

    specs = [tf.TensorSpec([None, WIDTHS[0]], tf.float32, name="x")]
    module.predict = tf.function(predict, input_signature=specs)
    tf.saved_model.save(module, str(target), signatures={"serving_default": module.predict})


if __name__ == "__main__":
    write(Path(sys.argv[1]))
