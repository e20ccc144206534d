"""
The digits example: trained, served, and judged over gRPC as it was judged offline.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.model_servers import running

DIGITS = Path(__file__).parents[3] / "examples" / "digits"


def _run(program: str, *arguments: str) -> str:
    command = [sys.executable, str(DIGITS / program), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def _rate(output: str) -> float:
    (found,) = re.findall(r"Inference error rate: (\d+\.\d\d)%", output)
    return float(found)


@pytest.mark.long
@pytest.mark.requirement("row-3")
@pytest.mark.parametrize(
    ("version", "low", "high"),
    [(1, 8.0, 12.0), (2, 0.0, 6.0)],
)
def test_error_rate(tmp_path: Path, version: int, low: float, high: float) -> None:
    """
    The client's error rate is the offline one, and version 2 is better than version 1.
    """
    base = tmp_path / "models" / "mnist"
    trained = _run("train_digits.py", f"--model_version={version}", str(base))
    flags = ["--model_name=mnist", f"--model_base_path={base}"]
    with running(tmp_path, *flags) as server:
        server.wait_ready()
        assert "Replayed 4 warm-up records" in server.log
        tested = _run("digits_client.py", "--num_tests=1000", f"--server={server.target}")
    assert low <= _rate(trained) <= high
    assert _rate(tested) == _rate(trained)
    assert tested.count(".") > 100
