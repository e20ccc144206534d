"""
A minute of new versions under load, and two hundred of them for the memory.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]

_log = logging.getLogger(__name__)


@pytest.mark.long
@pytest.mark.requirement("row-8")
@pytest.mark.timeout(1200)
def test_a_version_every_second() -> None:
    """
    No request fails, the 99th percentile at most doubles, and the memory stays.
    """
    run = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "hot_swap.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    _log.info("%s", run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
