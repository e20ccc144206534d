"""What a person says about a model that is to be served."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modeldeploy_runtime.sources.request_logging import RequestLogging
from modeldeploy_runtime.sources.version_policy import Latest, VersionPolicy


@dataclass(frozen=True, slots=True)
class ServedModel:
    """
    One model: where its version folders are, which are wanted, and what labels they have.

    ``base_path`` is an absolute path or a URI.
    ``logging`` says how its requests are logged, where its configuration does.
    """

    name: str
    base_path: str
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)
    platform: str = "tensorflow"
    logging: RequestLogging | None = None

    @property
    def place(self) -> tuple[str, VersionPolicy, str]:
        """What decides which versions are served; the rest changes nothing of that."""
        return self.base_path, self.policy, self.platform
