"""
What the running cluster was asked to be: kept beside it, so that `up` repairs what is there.
"""

import json
from dataclasses import asdict, dataclass, replace

from modeldeploy_devcluster.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """
    What differs from one cluster to the next.

    Attributes:
        audit: Whether the API server writes an audit log.
        nodes: How many nodes there are, 1 or 2.
        addons: The addons that run, by name.
    """

    audit: bool = False
    nodes: int = 1
    addons: tuple[str, ...] = ()

    def changed(
        self,
        *,
        audit: bool | None = None,
        nodes: int | None = None,
        addons: tuple[str, ...] | None = None,
    ) -> "Options":
        """Change what is given and keep the rest."""
        options = self if audit is None else replace(self, audit=audit)
        options = options if nodes is None else replace(options, nodes=nodes)
        return options if addons is None else replace(options, addons=addons)


def load(settings: Settings) -> Options:
    """Read the options of the running cluster; a fresh one has none."""
    path = settings.state / "options.json"
    values = json.loads(path.read_text()) if path.exists() else {}
    return Options(
        audit=bool(values.get("audit", False)),
        nodes=int(values.get("nodes", 1)),
        addons=tuple(values.get("addons", ())),
    )


def save(settings: Settings, options: Options) -> None:
    """Keep the options for the next command."""
    (settings.state / "options.json").write_text(json.dumps(asdict(options)))
