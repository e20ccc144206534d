"""What a person may set on the command line: TensorFlow Serving's flags, and a few of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeldeploy_runtime import flags
from modeldeploy_runtime.flags import Duration, FlagError
from modeldeploy_runtime.servables.errors import InvalidArgumentError
from modeldeploy_runtime.sources import config_file
from modeldeploy_runtime.sources.models import ServedModel


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags of the server; see the README for what each does."""

    port: int = 8500
    rest_api_port: int = 8501
    model_name: str = "default"
    model_base_path: str = ""
    model_config_file: str = ""
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    file_system_poll_wait_seconds: int = 1
    rest_api_timeout_in_ms: int = 30_000
    grpc_max_threads: int = 0
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    saved_model_tags: str = "serve"
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    version: bool = False
    # The ones that TensorFlow Serving does not have.
    rest_api_max_body_bytes: int = 256 * 1024 * 1024
    drain_delay: Duration = Duration(0)  # noqa: RUF009 - a float, and immutable
    drain_timeout: Duration = Duration(30)  # noqa: RUF009 - a float, and immutable
    log_format: str = "plain"


def parse(arguments: Sequence[str]) -> Settings:
    """
    Read the server's command line.

    Raises:
        FlagError: The flags are wrong or contradict one another.
    """
    settings = flags.parse(arguments, Settings)
    if settings.version:
        return settings
    if settings.log_format not in {"plain", "json"}:
        raise FlagError(f'--log_format must be plain or json, not "{settings.log_format}".')
    if not settings.port and not settings.rest_api_port:
        raise FlagError("Either --port or --rest_api_port must be set.")
    if settings.port == settings.rest_api_port:
        raise FlagError("--port and --rest_api_port must differ.")
    if not settings.model_base_path and not settings.model_config_file:
        raise FlagError("Either --model_base_path or --model_config_file must be set.")
    return settings


def models(settings: Settings) -> list[ServedModel]:
    """
    Read which models are to be served; a configuration file goes before the single-model flags.

    Raises:
        FlagError: The file cannot be read or is wrong.
    """
    try:
        if not settings.model_config_file:
            base = config_file.base_path(settings.model_name, settings.model_base_path)
            return [ServedModel(settings.model_name, base)]
        path = Path(settings.model_config_file)
        return config_file.parse(path.read_text(), str(path))
    except (InvalidArgumentError, OSError, UnicodeDecodeError) as error:
        raise FlagError(f"{error}") from error
