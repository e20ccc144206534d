"""
The fixture of tests that run whole passes.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testkit.small_cluster import Cluster, small_cluster


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """
    Set a cluster and an operator up.
    """
    async with small_cluster(tmp_path) as found:
        yield found
