"""
Trains a classifier of handwritten digits and exports it as a SavedModel.

    python train_digits.py --model_version=1 models/mnist

The data are scikit-learn's 1,797 digits of 8 by 8 pixels.  A fixed choice of 1,000 of them is kept
for testing and never trained on.  Version 1 is a softmax regression, as small as a classifier gets;
later versions are a network with two hidden layers, unless --model says otherwise.
"""

import argparse
import itertools
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from digits_data import CLASSES, PIXELS, Digits, load
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

BATCH = 50
WARMUP_BATCHES = (1, 2, 8, 32)
# Where TensorFlow Serving, and modeldeploy's runtime, look for requests to replay before traffic.
WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")


class Classifier(tf.Module):
    """Dense layers with a softmax at the end; without hidden ones it is a softmax regression."""

    def __init__(self, hidden: tuple[int, ...], generator: np.random.Generator) -> None:
        super().__init__()
        sizes = (PIXELS, *hidden, CLASSES)
        self.weights = []
        self.biases = []
        for size, following in itertools.pairwise(sizes):
            scale = np.sqrt(2.0 / size) if hidden else 0.0
            start = generator.normal(0.0, 1.0, (size, following)) * scale
            self.weights.append(tf.Variable(start.astype(np.float32)))
            self.biases.append(tf.Variable(tf.zeros(following)))

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Compute what the softmax is taken of."""
        values = images
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = tf.nn.relu(values @ weight + bias)
        return values @ self.weights[-1] + self.biases[-1]

    @tf.function(input_signature=[tf.TensorSpec([None, PIXELS], tf.float32, name="images")])
    def predict(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Give the probability of each digit."""
        return {"scores": tf.nn.softmax(self.logits(images))}


def train(model: Classifier, digits: Digits, iterations: int, rate: float, seed: int) -> None:
    """Do so many steps of gradient descent, each on a random batch."""
    generator = np.random.default_rng(seed)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model.logits(images))
            loss = tf.reduce_mean(losses)
        variables = model.trainable_variables
        for variable, slope in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(rate * slope)

    for _ in range(iterations):
        chosen = generator.choice(len(digits.train_images), BATCH, replace=False)
        step(digits.train_images[chosen], digits.train_labels[chosen])


def error_rate(model: Classifier, digits: Digits) -> float:
    """Compute the share of test images, in percent, that the model gets wrong."""
    scores = model.predict(tf.constant(digits.test_images))["scores"].numpy()
    return float(np.mean(np.argmax(scores, axis=1) != digits.test_labels) * 100)


def write_warmup(folder: Path, name: str, digits: Digits) -> None:
    """Record requests of several batch sizes for the server to replay before it takes traffic."""
    path = folder / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch in WARMUP_BATCHES:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.inputs["images"].CopyFrom(_tensor(digits.train_images[:batch]))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def _tensor(images: Any) -> tensor_pb2.TensorProto:
    return tf.make_tensor_proto(images)


def main() -> None:
    """Train, evaluate, export."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the model's versions live")
    parser.add_argument("--model_version", type=int, default=1, help="the version to write")
    parser.add_argument("--training_iteration", type=int, default=0, help="steps of training")
    parser.add_argument("--model", choices=("softmax", "mlp"), help="softmax for version 1 only")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    arguments = parser.parse_args()
    kind = arguments.model or ("softmax" if arguments.model_version == 1 else "mlp")
    hidden: tuple[int, ...] = () if kind == "softmax" else (128, 64)
    iterations = arguments.training_iteration or (300 if kind == "softmax" else 3000)
    rate = 0.1

    digits = load()
    model = Classifier(hidden, np.random.default_rng(arguments.seed))
    print(f"Training a {kind} model on {len(digits.train_images)} digits.")
    train(model, digits, iterations, rate, arguments.seed)
    print(f"Inference error rate: {error_rate(model, digits):.2f}%")
    target = arguments.folder / str(arguments.model_version)
    tf.saved_model.save(model, str(target), signatures={"serving_default": model.predict})
    write_warmup(target, arguments.folder.name, digits)
    print(f"Exported to {target}.")


if __name__ == "__main__":
    main()
