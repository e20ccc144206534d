"""
The settings: defaults that suit a pod, and a sentence for what is wrong.
"""

import re
from pathlib import Path

import pytest

from modeldeploy_router.settings import SettingsError, read_settings

LEAST = {"MODELDEPLOY_NAME": "mnist", "POD_NAMESPACE": "vision"}
ROUTER = Path(__file__).resolve().parents[3] / "router"


def test_defaults() -> None:
    """
    A name and a namespace are enough.
    """
    settings = read_settings(LEAST)
    assert settings.api is None
    assert (settings.grpc_port, settings.rest_port, settings.status_port) == (8500, 8501, 8502)
    assert settings.routing_file == Path("/etc/modeldeploy/routing/routing.json")


def test_the_api_server_of_the_pod() -> None:
    """
    Kubernetes sets these for every pod.
    """
    kubernetes = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert read_settings(LEAST | kubernetes).api == ("10.96.0.1", 6443)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "MODELDEPLOY_NAME is not set"),
        ({"MODELDEPLOY_NAME": "mnist"}, "POD_NAMESPACE is not set"),
        (LEAST | {"MODELDEPLOY_THREADS": "many"}, "MODELDEPLOY_THREADS is not a number"),
    ],
)
def test_what_is_wrong_is_named(environment: dict[str, str], words: str) -> None:
    """
    The error names the variable.
    """
    with pytest.raises(SettingsError, match=words):
        read_settings(environment)


def test_every_setting_is_documented() -> None:
    """
    What the code reads stands in the README's table, and nothing else does.
    """
    sources = [*(ROUTER / "src" / "modeldeploy_router").glob("*.py")]
    pattern = re.compile(r"\b(?:MODELDEPLOY_[A-Z_]+|POD_NAMESPACE|KUBERNETES_SERVICE_[A-Z]+)\b")
    read = {name for source in sources for name in pattern.findall(source.read_text())}
    table = [line for line in (ROUTER / "README.md").read_text().splitlines() if line[:2] == "| "]
    told = {name for line in table for name in pattern.findall(line.split("|")[1])}
    assert told == read
