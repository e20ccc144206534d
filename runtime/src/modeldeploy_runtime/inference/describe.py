"""Describes models: the states of their versions, and their signatures, as messages."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.lifecycle.handle import Handle
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import Code
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.servables.states import State, VersionStatus

_STATES: dict[State, int] = {
    State.START: 10,
    State.LOADING: 20,
    State.AVAILABLE: 30,
    State.UNLOADING: 40,
    State.END: 50,
}


def status(directory: Directory, selector: Selector) -> Any:
    """
    Make a GetModelStatusResponse, the newest version first.

    It has room for numbers alone: ``model`` tells the names of versions.

    Raises:
        NotFoundError: Nothing is known of the model or the version.
    """
    response = messages.GetModelStatusResponse()
    for known in directory.statuses(selector):
        code = known.error.code if known.error else Code.OK
        response.model_version_status.add(
            version=known.version,
            state=_STATES[known.state],
            status={
                "error_code": code.value,
                "error_message": known.error.message if known.error else "",
            },
        )
    return response


def models(directory: Directory) -> list[dict[str, Any]]:
    """Describe all configured models, by name; one may have no version yet."""
    return [
        _describe(name, directory.labels(name), known, known)
        for name in sorted(directory.names)
        for known in (directory.versions(name),)
    ]


def model(directory: Directory, selector: Selector) -> dict[str, Any]:
    """
    Describe one model with its labels and its versions, or the version that is named.

    Raises:
        NotFoundError: Nothing is known of the model or the version.
    """
    labels = directory.labels(selector.name)
    known = directory.versions(selector.name)
    return _describe(selector.name, labels, known, directory.statuses(selector))


def _describe(
    name: str,
    labels: Mapping[str, int],
    known: Iterable[VersionStatus],
    shown: Iterable[VersionStatus],
) -> dict[str, Any]:
    return {
        "name": name,
        "labels": by_label(labels, known),
        "versions": [_version(version, labels) for version in shown],
    }


def by_label(labels: Mapping[str, int], known: Iterable[VersionStatus]) -> dict[str, str]:
    """Write the versions of labels as people know them, as far as anything is known of them."""
    texts = {version.version: version.text for version in known}
    return {label: texts.get(number, str(number)) for label, number in sorted(labels.items())}


def _version(known: VersionStatus, labels: Mapping[str, int]) -> dict[str, Any]:
    code = known.error.code if known.error else Code.OK
    return {
        "version": known.text,
        "state": known.state.value,
        "status": {
            "error_code": code.name,
            "error_message": known.error.message if known.error else "",
        },
        "labels": sorted(label for label, number in labels.items() if number == known.version),
        "created": _time(known.created),
        "since": _time(known.since),
        "load_seconds": round(known.load_seconds, 3),
        "memory_bytes": known.memory_bytes,
        "problem": known.problem,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def signatures(handle: Handle) -> Any:
    """Make a SignatureDefMap of the version that a handle holds."""
    described = messages.SignatureDefMap()
    for name, serialized in handle.model.signature_defs.items():
        described.signature_def[name].MergeFromString(serialized)
    return described
