"""
The operator's settings, from environment variables that the chart sets.
"""

import os
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, field_validator

from modeldeploy_operator.evidence.external import addresses
from modeldeploy_operator.manifests.template import Images

PREFIX = "MODELDEPLOY_"


class Settings(BaseModel):
    """
    What an installation decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime_image: str = Field(min_length=1)
    router_image: str = Field(min_length=1)
    pull_policy: str = "IfNotPresent"
    namespace: str = ""
    own_namespace: str = ""
    key_name: str = "modeldeploy-operator-key"
    metrics_port: int = 8080
    liveness_port: int = 8081
    log_level: str = "INFO"
    resync_seconds: float = 300.0
    workers: int = 8
    lease: str = Field(default="", pattern=r"^([^/]+/[^/]+)?$")
    identity: str = ""
    allowed_urls: str = ""

    @field_validator("allowed_urls")
    @classmethod
    def _are_urls(cls, text: str) -> str:
        for entry in text.split():
            if not addresses.is_entry(entry):
                raise ValueError(f"{entry} is not of the form http(s)://HOST[:PORT][/PATH]")
        return text

    @property
    def allowed(self) -> tuple[str, ...]:
        """
        The URLs that checks may ask, as prefixes.
        """
        return tuple(self.allowed_urls.split())

    @property
    def images(self) -> Images:
        """
        The images that serving and router pods run.
        """
        return Images(self.runtime_image, self.router_image, self.pull_policy)


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """
    Read the settings; an unset or empty variable leaves its default.

    Raises:
        pydantic.ValidationError: A variable is missing or wrong; the error names it.

    """
    values = {
        name: environment[PREFIX + name.upper()]
        for name in Settings.model_fields
        if environment.get(PREFIX + name.upper())
    }
    return Settings.model_validate(values)
