"""
The file of --monitoring_config_file.
"""

from pathlib import Path

import pytest

from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.settings import monitoring


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true, path: "/metrics" }', "/metrics"),
        ("prometheus_config: { enable: true }", monitoring.DEFAULT_PATH),
        ('prometheus_config { enable: false, path: "/metrics" }', ""),
        ("", ""),
    ],
)
def test_path(text: str, path: str, tmp_path: Path) -> None:
    """
    The metrics are on the path of the file, on the usual one where it names none, or nowhere.
    """
    file = tmp_path / "monitoring.config"
    file.write_text(text)
    assert monitoring.metrics_path(str(file)) == path


def test_no_file() -> None:
    """
    Without a file the metrics are on the usual path.
    """
    assert monitoring.metrics_path("") == monitoring.DEFAULT_PATH


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prometheus { }", "Error parsing text-format tensorflow.serving.MonitoringConfig"),
        ('prometheus_config { enable: true path: "m" }', "must begin with a slash"),
    ],
)
def test_errors(text: str, said: str, tmp_path: Path) -> None:
    """
    A file that cannot be understood is an error in one sentence.
    """
    file = tmp_path / "monitoring.config"
    file.write_text(text)
    with pytest.raises(FlagError, match=said):
        monitoring.metrics_path(str(file))
    with pytest.raises(FlagError, match="cannot be read"):
        monitoring.metrics_path(f"{file}.gone")
