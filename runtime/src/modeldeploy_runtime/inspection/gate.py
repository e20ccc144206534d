"""
Judges the signatures of a version before it is served.

Are those there that clients need, and does whoever spoke to another version notice nothing?
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modeldeploy_runtime.fetching.command import Request
from modeldeploy_runtime.fetching.errors import Code, FetchError
from modeldeploy_runtime.inspection import places
from modeldeploy_runtime.inspection.errors import InspectionError
from modeldeploy_runtime.servables import interface


def judge(folder: Path, request: Request) -> str:
    """
    Judge the version in a folder; return a warning, or nothing.

    Raises:
        FetchError: A required signature is missing, or the version does not fit and must.
    """
    try:
        _, own = places.interface(str(folder), "")
    except InspectionError as error:
        if request.required:
            raise FetchError(Code.SIGNATURE_MISSING, f"{error}") from error
        return f"The version could not be compared with what is served: {error}"
    _check_required(request.required, own)
    against = request.predecessor
    return _compare(own, against, strict=request.compatibility == "Strict") if against else ""


def _check_required(required: Sequence[str], own: Mapping[str, Any]) -> None:
    if missing := [name for name in required if name not in own]:
        raise FetchError(
            Code.SIGNATURE_MISSING,
            f"The version has no signature {_listed(missing)}; it has {_listed(own)}.",
        )


def _compare(own: Mapping[str, interface.Interface], against: Path, *, strict: bool) -> str:
    try:
        _, served = places.interface(str(against), "")
    except InspectionError as error:
        return f"The version could not be compared with what is served: {error}"
    found = interface.differences(served, own)
    if not found:
        return ""
    sentence = f"It does not fit the clients of {_described(against)}: {' '.join(found)}"
    if strict:
        raise FetchError(Code.SIGNATURE_INCOMPATIBLE, sentence)
    return sentence


def _described(against: Path) -> str:
    """Name the version that is served, as far as its answer does."""
    try:
        return f"version {json.loads(against.read_bytes())['model_spec']['version']}"
    except (KeyError, TypeError):
        return "the version that is served"


def _listed(names: Any) -> str:
    return " and ".join(f'"{name}"' for name in names) or "none"
