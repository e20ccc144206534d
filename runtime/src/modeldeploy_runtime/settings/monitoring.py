"""Reads the file of ``--monitoring_config_file``: TensorFlow Serving's MonitoringConfig as text."""

from pathlib import Path

from google.protobuf import text_format

from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.protos import messages

DEFAULT_PATH = "/monitoring/prometheus/metrics"
_MESSAGE = "tensorflow.serving.MonitoringConfig"


def metrics_path(file: str) -> str:
    """
    Read where the metrics are served; no file means the usual path, and ``""`` means nowhere.

    Raises:
        FlagError: The file cannot be read, or is no MonitoringConfig.
    """
    if not file:
        return DEFAULT_PATH
    config = messages.MonitoringConfig()
    try:
        text_format.Parse(Path(file).read_text(), config)
    except (OSError, UnicodeDecodeError) as error:
        raise FlagError(f"--monitoring_config_file cannot be read: {error}") from error
    except text_format.ParseError as error:
        raise FlagError(f"Error parsing text-format {_MESSAGE}: {file}: {error}") from error
    prometheus = config.prometheus_config
    path: str = prometheus.path or DEFAULT_PATH
    if not path.startswith("/"):
        raise FlagError(f'prometheus_config.path in {file} must begin with a slash, not "{path}".')
    return path if prometheus.enable else ""
