"""Flags about the program itself: what it tells, and what it does in place of serving."""

from dataclasses import dataclass

from modeldeploy_runtime.flags import flag


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


@dataclass(frozen=True)
class ProgramFlags:
    """What to do in place of serving."""

    version: bool = flag(default=False, help_text="Print the version.")
    help: bool = flag(default=False, help_text="Print all flags.")
