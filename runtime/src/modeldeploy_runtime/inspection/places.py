"""
Finds the model that a path means.

A path is the folder of a SavedModel, or a model's base path, which stands for its newest version,
or a file with what the metadata route said of a model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeploy_runtime.inspection import savedmodel
from modeldeploy_runtime.inspection.errors import InspectionError
from modeldeploy_runtime.inspection.savedmodel import MetaGraph
from modeldeploy_runtime.loaders import interfaces
from modeldeploy_runtime.servables import ids
from modeldeploy_runtime.servables.interface import Interface
from modeldeploy_runtime.sources import completeness, version_policy

GRAPH = completeness.GRAPHS[0]
DEFAULT_TAGS = "serve"


@dataclass(frozen=True, slots=True)
class Found:
    """A SavedModel: where it is, and its graphs."""

    folder: Path
    graphs: tuple[MetaGraph, ...]

    def only(self, tag_set: str) -> MetaGraph:
        """
        Choose the graph with these tags; no tags mean the one that is served.

        Raises:
            InspectionError: There is no such graph.
        """
        wanted = sorted((tag_set or DEFAULT_TAGS).split(","))
        for graph in self.graphs:
            if sorted(graph.tags) == wanted:
                return graph
        if not tag_set and len(self.graphs) == 1:
            return self.graphs[0]
        there = _listed(graph.tag_set for graph in self.graphs)
        raise InspectionError(
            f'{self.folder} has no graph with the tag-set "{",".join(wanted)}"; it has {there}.'
        )


def find(path: str) -> Found:
    """
    Find and read a SavedModel.

    Raises:
        InspectionError: There is none.
    """
    folder = _folder(Path(path))
    return Found(folder, tuple(savedmodel.read(folder / GRAPH)))


def interface(path: str, tag_set: str) -> tuple[str, dict[str, Interface]]:
    """
    Read the interface at a path; also say what was read.

    Raises:
        InspectionError: There is none.
    """
    if not Path(path).exists() or Path(path).is_dir():
        found = find(path)
        return str(found.folder), interfaces.of_messages(found.only(tag_set).signatures)
    try:
        return path, interfaces.of_metadata(json.loads(Path(path).read_bytes()))
    except OSError as error:
        raise InspectionError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InspectionError(
            f"{path} is neither a folder nor an answer of GET /v1/models/NAME/metadata."
        ) from error


def signature(path: str, signatures: Mapping[str, Any], name: str) -> Any:
    """
    Choose a signature.

    Raises:
        InspectionError: There is none of that name.
    """
    if name not in signatures:
        raise InspectionError(f'{path} has no signature "{name}"; it has {_listed(signatures)}.')
    return signatures[name]


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise InspectionError(f"There is no folder at {path}.")
    if (path / GRAPH).exists():
        return path
    try:
        versions = {
            child.name: child
            for child in path.iterdir()
            if version_policy.is_version(child.name, any_name=True) and (child / GRAPH).exists()
        }
    except OSError as error:
        raise InspectionError(f"{path} cannot be read: {error.strerror}.") from error
    # Where some names are numbers, a server takes no others.
    names = [name for name in versions if version_policy.is_version(name)] or list(versions)
    if not names:
        raise InspectionError(f"{path} holds neither {GRAPH} nor a version with one.")
    return versions[max(names, key=ids.rank)]


def _listed(names: Any) -> str:
    return " and ".join(f'"{name}"' for name in names) or "none"
