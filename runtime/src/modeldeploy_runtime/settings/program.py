"""Flags about the program itself: what it tells, and what it does in place of serving."""

from dataclasses import dataclass

from modeldeploy_runtime.flags import Duration, flag


@dataclass(frozen=True)
class ObservationFlags:
    """Metrics and logs."""

    monitoring_config_file: str = flag(
        "", "A file with a MonitoringConfig as text: the path of the metrics, or none."
    )
    log_format: str = flag(
        "plain",
        "`plain` for people, `json` for programs.",
        ours=True,
        choices=("plain", "json"),
    )
    access_log: str = flag(
        "",
        "Write a line for each request to standard output: `plain`, or `json`.",
        ours=True,
        choices=("", "plain", "json"),
    )
    otlp_endpoint: str = flag(
        "",
        "Send OpenTelemetry traces to this collector by OTLP over HTTP, as "
        "`http://collector:4318`. OpenTelemetry's environment variables do, too.",
        ours=True,
    )


@dataclass(frozen=True)
class RequestLoggingFlags:
    """Keeping a sample of the requests, for models whose logging_config does not say otherwise."""

    request_logging_prefix: str = flag(
        "",
        "Write a sample of the requests to files whose names begin so: a path, or a URI that "
        "fsspec writes to, such as `s3://logs/mnist/`.",
        ours=True,
    )
    request_logging_rate: float = flag(
        0.01, "The share of the requests that is written.", ours=True, least=0, most=1
    )
    request_logging_file_bytes: int = flag(
        64 * 1024 * 1024, "A file of the log ends before it becomes larger.", ours=True, least=1
    )
    request_logging_file_age: Duration = flag(
        Duration(60),
        "A file of the log ends so long after its first record.",
        ours=True,
        shown="1m",
    )
    request_logging_record_bytes: int = flag(
        16 * 1024 * 1024, "A request that takes more is not logged.", ours=True, least=1
    )


@dataclass(frozen=True)
class ProgramFlags:
    """What to do in place of serving."""

    version: bool = flag(default=False, help_text="Print the version.")
    validate_config: bool = flag(
        default=False,
        help_text="Check the flags and every file that they name, list all faults, and end with "
        "1 if there are any, else with 0.",
        ours=True,
    )
    help: bool = flag(default=False, help_text="Print all flags.")
