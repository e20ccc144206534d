"""One request, as those see it who count, log and trace."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from modeldeploy_runtime.servables.ids import ServableId

UNKNOWN = "_unknown"
# A request whose path names no model.
NO_API = "none"
# The entrypoint of what another server asks again, so that nobody takes it for a client's request.
SHADOW = "SHADOW"
# The metadata that marks such a request, and that tells in its answer how long the model ran.
SHADOW_MARK, RUN_SECONDS = "x-modeldeploy-shadow", "x-modeldeploy-run-seconds"

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


@dataclass(slots=True)
class Call:
    """
    One request, filled in while it is answered.

    ``run_seconds`` is the time inside the model and ``examples`` the number of examples; 0 means
    that the request did not come so far, or has none.  ``begun`` is when its version was found,
    ``taken`` when a thread took it up and ``run_started`` when the model was first called, all by
    ``time.perf_counter``.  ``pinned`` says that the client chose the version, and ``after`` is done
    once the request has been answered; it must be quick.  The others are filled in only where
    somebody wants them.
    """

    entrypoint: str
    api: str
    model: str = UNKNOWN
    version: str = ""
    signature: str = ""
    run_seconds: float = 0.0
    examples: int = 0
    begun: float = 0.0
    taken: float = 0.0
    run_started: float = 0.0
    peer: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    version_is_named: bool = False
    pinned: bool = False
    after: Callable[[], None] | None = None

    def served_by(self, servable: ServableId) -> None:
        """Note which version answers."""
        self.model = servable.name
        self.version = servable.version_text
        self.version_is_named = servable.is_named

    @property
    def trace_id(self) -> str:
        """The trace that the client says the request belongs to, by W3C's ``traceparent``."""
        match = _TRACEPARENT.fullmatch(self.headers.get("traceparent", ""))
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class Observation:
    """
    An answered request.

    ``ended`` is the time of the answer in seconds since 1970, ``ended_clock`` the same by
    ``time.perf_counter``, and ``seconds`` how long the request took.
    """

    call: Call
    code: str
    seconds: float
    ended: float
    ended_clock: float


Watcher = Callable[[list[Observation]], None]
