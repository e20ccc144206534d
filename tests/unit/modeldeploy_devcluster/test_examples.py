"""The examples in the docstrings are true."""

import doctest
from types import ModuleType

import pytest

from modeldeploy_devcluster import context, images, index_settings
from modeldeploy_devcluster.embedded import node


@pytest.mark.parametrize("module", [context, images, index_settings, node])
def test_examples_in_docstrings(module: ModuleType) -> None:
    """Each example gives what it says."""
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
