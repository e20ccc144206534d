"""The digits of scikit-learn, split once and for all into those for training and for testing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

PIXELS = 64
CLASSES = 10
TESTS = 1000
# The split never changes, so that no model has ever seen an image that it is tested with.
SPLIT_SEED = 20161121


@dataclass(frozen=True, slots=True)
class Digits:
    """Images as rows of 64 numbers between 0 and 1, with the digits that they show."""

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any


def load() -> Digits:
    """Read the data that come with scikit-learn."""
    found = load_digits()
    images = (found.data / 16.0).astype(np.float32)
    labels = found.target.astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    test, train = order[:TESTS], order[TESTS:]
    return Digits(images[train], labels[train], images[test], labels[test])
