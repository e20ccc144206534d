"""
What a source is, and what it says.

A source finds out which versions of its models are wanted, and says the whole set each time: what
is left out will be unloaded, an empty set unloads all.  A package adds a source by an entry point
of the group ``modeldeploy.sources``: its name is a scheme, and models whose base path has that
scheme are given to the source that it makes from a ``Sink`` and the ``SourceOptions``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modeldeploy_runtime.servables.data import ServableData
from modeldeploy_runtime.sources.models import ServedModel


class StoredVersion(Protocol):
    """The files of one version, wherever they are."""

    def bring(self) -> Path:
        """
        Make sure that the files are in a local folder, and name it; may take long.

        Raises:
            LoadError: They cannot be brought.
        """

    def drop(self) -> None:
        """Remove what was brought; what lies there without us stays."""


NOT_LOOKED = "Its versions have not been looked for yet."
"""What a source says of a model before its first look."""

Sink = Callable[[ServedModel, Sequence[ServableData[StoredVersion]]], None]


class Source(Protocol):
    """Says which versions are wanted; threads may call every method at any time."""

    def set_models(self, models: Iterable[ServedModel]) -> None:
        """
        Replace the models that are looked after.

        A model that is left out is told to the sink with no versions.
        """

    def start(self) -> None:
        """Begin to look, in threads of one's own."""

    def stop(self) -> None:
        """Say nothing any more."""

    def problem(self, name: str) -> str:
        """Say in a sentence why a model has no versions, ``NOT_LOOKED`` at first, or nothing."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """
    What a person may decide about looking for versions.

    Attributes:
        poll_seconds: Between two looks; 0 looks until every version is judged, less never looks.
        longest_wait: Seconds between two looks at a storage in which nothing changes.
        any_name: Whether folders whose names are no numbers are versions, too.
        cache: The folder for versions that are brought from elsewhere.
    """

    poll_seconds: float = 1.0
    longest_wait: float = 60.0
    any_name: bool = False
    cache: str = ""
