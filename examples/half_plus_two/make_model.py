"""
Exports half_plus_two, the smallest model that computes something: y = x / 2 + 2.

    python make_model.py --model_version=1 models/half_plus_two

The folder then holds the SavedModel in a sub-folder named after the version.
"""

import argparse
from pathlib import Path

import tensorflow as tf


class HalfPlusTwo(tf.Module):
    """Two variables and one signature, as clients of TensorFlow Serving know it."""

    def __init__(self, slope: float, offset: float) -> None:
        super().__init__()
        self.slope = tf.Variable(slope)
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute y for each x."""
        return {"y": x * self.slope + self.offset}


def export(folder: Path, version: int, *, slope: float = 0.5, offset: float = 2.0) -> Path:
    """Write one version and return its folder."""
    target = folder / str(version)
    model = HalfPlusTwo(slope, offset)
    tf.saved_model.save(model, str(target), signatures={"serving_default": model.predict})
    return target


def main() -> None:
    """Export what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the model's versions live")
    parser.add_argument("--model_version", type=int, default=1, help="the version to write")
    parser.add_argument("--slope", type=float, default=0.5, help="what x is multiplied by")
    parser.add_argument("--offset", type=float, default=2.0, help="what is added")
    arguments = parser.parse_args()
    target = export(
        arguments.folder, arguments.model_version, slope=arguments.slope, offset=arguments.offset
    )
    print(f"Exported to {target}.")


if __name__ == "__main__":
    main()
