"""
Settings come from environment variables, and a wrong one is named.
"""

import pytest
from pydantic import ValidationError

from modeldeploy_operator.manifests.template import Images
from modeldeploy_operator.settings import read_settings

NEEDED = {"MODELDEPLOY_RUNTIME_IMAGE": "r:1", "MODELDEPLOY_ROUTER_IMAGE": "o:1"}


def test_two_images_are_enough() -> None:
    """
    Everything but the images has a default, and an empty variable counts as unset.
    """
    settings = read_settings({**NEEDED, "MODELDEPLOY_WORKERS": "", "PATH": "/bin"})
    assert settings.images == Images("r:1", "o:1", "IfNotPresent")
    assert (settings.namespace, settings.workers, settings.resync_seconds) == ("", 8, 300.0)


def test_variables_are_read_by_their_names() -> None:
    """
    Each setting has a variable, MODELDEPLOY_ and its name in capitals.
    """
    settings = read_settings(
        {**NEEDED, "MODELDEPLOY_RESYNC_SECONDS": "60", "MODELDEPLOY_PULL_POLICY": "Always"}
    )
    assert settings.resync_seconds == 60
    assert settings.images.pull_policy == "Always"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "runtime_image"),
        ({"MODELDEPLOY_RUNTIME_IMAGE": "r:1"}, "router_image"),
        ({**NEEDED, "MODELDEPLOY_WORKERS": "many"}, "workers"),
    ],
)
def test_a_missing_or_wrong_variable_is_named(environment: dict[str, str], named: str) -> None:
    """
    The operator does not start with settings that it cannot read, and says which.
    """
    with pytest.raises(ValidationError, match=named):
        read_settings(environment)
