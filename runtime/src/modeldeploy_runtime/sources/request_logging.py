"""What a person may decide about the log of a model's requests: pure."""

from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.servables.errors import InvalidArgumentError

TYPES = ("", "tfrecord")


@dataclass(frozen=True, slots=True)
class RequestLogging:
    """
    The log of one model.

    Its files are called ``PREFIX-MODEL-TIME-…``, or ``PREFIXMODEL-TIME-…`` after a slash; the
    prefix is a path or any URI that fsspec writes to.  ``rate`` is the share of requests that are
    logged, 0 to 1.
    """

    prefix: str
    rate: float


def read(model: str, config: Any) -> RequestLogging | None:
    """
    Understand TensorFlow Serving's LoggingConfig; a rate of 0 means no log.

    Raises:
        InvalidArgumentError: It asks for what is not offered, or does not say where and how much.
    """
    where = f"logging_config of model {model}"
    collector, sampling = config.log_collector_config, config.sampling_config
    if config.HasField("custom_logging_config"):
        raise InvalidArgumentError(f"{where}: custom_logging_config is not offered.")
    if collector.type not in TYPES:
        raise InvalidArgumentError(
            f'{where}: log_collector_config.type must be "tfrecord", not "{collector.type}".'
        )
    if not collector.filename_prefix:
        raise InvalidArgumentError(
            f"{where}: log_collector_config.filename_prefix must say where the log goes."
        )
    if sampling.attributes or sampling.per_task_sampling_configs:
        raise InvalidArgumentError(
            f"{where}: of sampling_config only sampling_rate is offered, as requests have no "
            "origin, criticality or data centre here."
        )
    if not 0 <= sampling.sampling_rate <= 1:
        raise InvalidArgumentError(
            f"{where}: sampling_rate must be between 0 and 1, not {sampling.sampling_rate}."
        )
    if not sampling.sampling_rate:
        return None
    return RequestLogging(collector.filename_prefix, sampling.sampling_rate)
