"""
What the files say of how a version is batched.
"""

from pathlib import Path

import pytest

from modeldeploy_runtime.batching import parameters
from modeldeploy_runtime.batching.parameters import BatchingParameters
from modeldeploy_runtime.batching.platform import Batching
from modeldeploy_runtime.servables.errors import LoadError

FOR_ALL = BatchingParameters(num_batch_threads=1, allowed_batch_sizes=(4, 8))


def test_sizes_for_all_models(tmp_path: Path) -> None:
    """
    The allowed sizes are those that models see; where any is allowed, one row is the least.
    """
    assert Batching(FOR_ALL).sizes(tmp_path) == (4, 8)
    assert Batching(BatchingParameters(num_batch_threads=1)).sizes(tmp_path) == (1,)


def test_sizes_of_one_version(tmp_path: Path) -> None:
    """
    A version's own file goes before the one for all, and one without a file is not batched.
    """
    batching = Batching(FOR_ALL, per_model=True)
    assert batching.sizes(tmp_path) == (1,)
    file = tmp_path / parameters.MODEL_FILE
    file.write_text("max_batch_size { value: 3 } allowed_batch_sizes: 3")
    assert batching.sizes(tmp_path) == (3,)
    file.write_text("max_batch_size 3")
    with pytest.raises(LoadError):
        batching.sizes(tmp_path)
