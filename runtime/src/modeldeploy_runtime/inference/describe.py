"""Describes models: the states of their versions, and their signatures, as messages."""

from typing import Any

from modeldeploy_runtime.inference.directory import Directory
from modeldeploy_runtime.lifecycle.handle import Handle
from modeldeploy_runtime.protos import messages
from modeldeploy_runtime.servables.errors import Code
from modeldeploy_runtime.servables.states import State

_STATES: dict[State, int] = {
    State.START: 10,
    State.LOADING: 20,
    State.AVAILABLE: 30,
    State.UNLOADING: 40,
    State.END: 50,
}


def status(directory: Directory, name: str, version: int | None) -> Any:
    """
    Make a GetModelStatusResponse, the newest version first.

    Raises:
        NotFoundError: Nothing is known of the model or the version.
    """
    response = messages.GetModelStatusResponse()
    for known in directory.statuses(name, version):
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


def signatures(handle: Handle) -> Any:
    """Make a SignatureDefMap of the version that a handle holds."""
    described = messages.SignatureDefMap()
    for name, serialized in handle.model.signature_defs.items():
        described.signature_def[name].MergeFromString(serialized)
    return described
