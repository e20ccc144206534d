"""Carries out ``modeldeploy-server inspect``."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modeldeploy_runtime import flags
from modeldeploy_runtime.flags import flag
from modeldeploy_runtime.inspection import places, show
from modeldeploy_runtime.inspection.errors import InspectionError
from modeldeploy_runtime.servables import interface

FITS, DIFFERS, UNREADABLE = 0, 1, 2
"""The exit statuses; a wrong command line has the server's own, 255."""


@dataclass(frozen=True)
class Request:
    """What ``inspect`` may be asked."""

    path: str
    against: str = flag("", "Compare with the model there.")
    tag_set: str = flag("", "Only the graph with these tags, separated by commas.")
    signature: str = flag("", "Only this signature.")
    json: bool = flag(default=False, help_text="For programs.")


def run(arguments: Sequence[str]) -> int:
    """Describe or compare what the command line names, and return the exit status."""
    request = flags.parse(arguments, Request, place="path")
    try:
        return _compare(request) if request.against else _describe(request)
    except InspectionError as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE


def _describe(request: Request) -> int:
    found = places.find(request.path)
    graphs = [found.only(request.tag_set)] if request.tag_set else list(found.graphs)
    if request.signature:
        graphs = [
            replace(graph, signatures=_chosen(found.folder, graph.signatures, request))
            for graph in graphs
        ]
    if request.json:
        _print_json(show.document(found, graphs))
    else:
        sys.stdout.write(show.text(found, graphs))
    return FITS


def _compare(request: Request) -> int:
    path, after = places.interface(request.path, request.tag_set)
    other, before = places.interface(request.against, request.tag_set)
    if request.signature:
        before = _chosen(other, before, request)
    found = interface.differences(before, after)
    if request.json:
        _print_json({"path": path, "against": other, "compatible": not found, "differences": found})
    elif found:
        lines = "".join(f"  {sentence}\n" for sentence in found)
        sys.stdout.write(f"{path} does not fit the clients of {other}:\n{lines}")
    else:
        sys.stdout.write(f"{path} fits the clients of {other}.\n")
    return DIFFERS if found else FITS


def _chosen(place: Any, signatures: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Take the one signature that was asked for."""
    return {request.signature: places.signature(str(place), signatures, request.signature)}


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
