"""What a gRPC request says of whom it is for, and what its answer says of who gave it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modeldeploy_runtime.servables import errors
from modeldeploy_runtime.servables.ids import Selector
from modeldeploy_runtime.telemetry.calls import Call
from modeldeploy_runtime.transports import pins


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What comes with a request's message.

    ``deadline`` is a time of ``time.monotonic`` in seconds, ``metadata`` has keys in lower case.
    """

    call: Call
    deadline: float | None = None
    metadata: Sequence[tuple[str, str]] = ()

    def selector(self, request: Any) -> Selector:
        """
        Read which version a request with a ``model_spec`` means.

        Raises:
            InvalidArgumentError: It names no model, or contradicts the metadata.
        """
        if not request.HasField("model_spec"):
            raise errors.InvalidArgumentError("Missing ModelSpec")
        return self.pinned(read(request.model_spec))

    def pinned(self, selector: Selector) -> Selector:
        """
        Join a selector with what the metadata asks for.

        Raises:
            InvalidArgumentError: There is no model, or they do not agree.
        """
        if not selector.name:
            raise errors.InvalidArgumentError("ModelSpec has no name specified.")
        return pins.choose(selector, self.metadata)

    def fill(self, spec: Any) -> None:
        """Write who answered into the ModelSpec of a response."""
        spec.name = self.call.model
        if self.call.version_is_named:
            spec.version_label = self.call.version
        else:
            spec.version.value = int(self.call.version)
        spec.signature_name = self.call.signature


def read(spec: Any) -> Selector:
    """Read a ModelSpec without judging it."""
    match spec.WhichOneof("version_choice"):
        case "version":
            return Selector(spec.name, version=spec.version.value)
        case "version_label":
            return Selector(spec.name, label=spec.version_label)
        case _:
            return Selector(spec.name)
