"""What the tests of the development cluster share."""

from pathlib import Path

import pytest

from modeldeploy_devcluster import settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def known(tmp_path: Path) -> settings.Settings:
    """Settings whose folders are the test's own."""
    return settings.Settings(
        state=tmp_path / "state",
        cache=tmp_path / "cache",
        repo=tmp_path / "repo",
        tools=ROOT / "devcluster" / "tools",
    )
