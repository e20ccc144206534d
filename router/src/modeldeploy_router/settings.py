"""
The agent's settings, all of them environment variables; router/README.md lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(ValueError):
    """
    An environment in which the router cannot start; the message names the variable.
    """


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that differs from one router to another.
    """

    name: str
    namespace: str
    api: tuple[str, int] | None
    account: Path
    routing_file: Path
    tokens: Path | None
    certificate: Path | None
    trust: tuple[str, str] | None
    run: Path
    keeper: Path | None
    bind: str
    grpc_port: int
    rest_port: int
    status_port: int
    threads: int
    max_connections: int
    drain_seconds: float
    stop_seconds: float
    patience_seconds: float
    dns_name: str
    haproxy: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """
    Read the settings.

    Raises:
        SettingsError: if a variable is missing or cannot be read.
    """

    def value(key: str, default: str | None = None) -> str:
        found = environment.get(key) or default
        if found is None:
            raise SettingsError(f"The environment variable {key} is not set.")
        return found

    def number(key: str, default: str) -> float:
        try:
            return float(value(key, default))
        except ValueError as error:
            raise SettingsError(f"The environment variable {key} is not a number.") from error

    host = environment.get("KUBERNETES_SERVICE_HOST")
    account = value("MODELDEPLOY_ACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount")
    return Settings(
        name=value("MODELDEPLOY_NAME"),
        namespace=value("POD_NAMESPACE"),
        api=(host, int(number("KUBERNETES_SERVICE_PORT", "443"))) if host else None,
        account=Path(account),
        routing_file=Path(
            value("MODELDEPLOY_ROUTING_FILE", "/etc/modeldeploy/routing/routing.json")
        ),
        tokens=Path(tokens) if (tokens := environment.get("MODELDEPLOY_TOKENS_DIR")) else None,
        certificate=Path(folder) if (folder := environment.get("MODELDEPLOY_TLS_DIR")) else None,
        trust=(ca, value("MODELDEPLOY_UPSTREAM_HOST"))
        if (ca := environment.get("MODELDEPLOY_UPSTREAM_CA_FILE"))
        else None,
        run=Path(value("MODELDEPLOY_RUN_DIR", "/run/modeldeploy")),
        keeper=Path(keeper) if (keeper := environment.get("MODELDEPLOY_KEEPER")) else None,
        bind=environment.get("MODELDEPLOY_BIND_ADDRESS", ""),
        grpc_port=int(number("MODELDEPLOY_GRPC_PORT", "8500")),
        rest_port=int(number("MODELDEPLOY_REST_PORT", "8501")),
        status_port=int(number("MODELDEPLOY_STATUS_PORT", "8502")),
        threads=int(number("MODELDEPLOY_THREADS", "1")),
        max_connections=int(number("MODELDEPLOY_MAX_CONNECTIONS", "4096")),
        drain_seconds=number("MODELDEPLOY_DRAIN_SECONDS", "5"),
        stop_seconds=number("MODELDEPLOY_STOP_SECONDS", "45"),
        patience_seconds=number("MODELDEPLOY_API_PATIENCE_SECONDS", "2"),
        dns_name=value("MODELDEPLOY_DNS_NAME", "{service}.{namespace}.svc"),
        haproxy=value("MODELDEPLOY_HAPROXY", "haproxy"),
    )
