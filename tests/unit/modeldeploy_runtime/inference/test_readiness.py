"""
Readiness, as the configuration changes.
"""

from dataclasses import dataclass, field
from typing import Any

from modeldeploy_runtime.inference.readiness import Readiness
from modeldeploy_runtime.servables.states import VersionStatus


@dataclass
class _Directory:
    """
    Models, some of which are available.
    """

    names: list[str]
    available: set[str] = field(default_factory=set)

    def is_available(self, name: str) -> bool:
        return name in self.available

    def versions(self, _name: str) -> list[VersionStatus]:
        return []


def test_a_model_that_is_added_takes_no_readiness_away() -> None:
    """
    At first every model must be there; later only those that were.
    """
    directory: Any = _Directory(["a", "b"], {"a"})
    readiness = Readiness(directory, lambda name: f"{name} is away.")
    assert readiness.reasons() == {"b": "b is away."}
    directory.available.add("b")
    assert readiness.reasons() == {}
    directory.names.append("c")
    assert readiness.reasons() == {}
    directory.available -= {"b"}
    assert readiness.reasons() == {"b": "b is away."}
    directory.names.remove("b")
    assert readiness.reasons() == {}
