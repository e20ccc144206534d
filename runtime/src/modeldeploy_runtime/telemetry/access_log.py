"""One line for each request, on standard output: plain, or JSON."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any

from modeldeploy_runtime.telemetry.calls import Observation

FORMATS = ("plain", "json")


def fields(seen: Observation) -> dict[str, Any]:
    """
    Name what a line says, in its order.

    ``time`` is that of the answer; ``ms`` and ``run_ms`` are milliseconds, of the whole request
    and inside the model.
    """
    call = seen.call
    ended = datetime.fromtimestamp(seen.ended, UTC)
    return {
        "time": ended.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "peer": call.peer,
        "entrypoint": call.entrypoint,
        "method": call.api,
        "model": call.model,
        "version": call.version,
        "signature": call.signature,
        "code": seen.code,
        "ms": round(seen.seconds * 1e3, 3),
        "run_ms": round(call.run_seconds * 1e3, 3),
        "request_bytes": call.request_bytes,
        "response_bytes": call.response_bytes,
        "trace_id": call.trace_id,
    }


def plain(seen: Observation) -> str:
    """Write ``key=value`` pairs; what is empty is ``-``."""
    time, *rest = fields(seen).items()
    return " ".join([time[1], *(f"{key}={_shown(value)}" for key, value in rest)])


def as_json(seen: Observation) -> str:
    """Write a JSON object."""
    return json.dumps(fields(seen), ensure_ascii=False)


def _shown(value: Any) -> str:
    text = str(value)
    if not text:
        return "-"
    # A name with a space or a line feed in it must not look like two fields or two lines.
    return text if text.isprintable() and " " not in text else json.dumps(text)


class AccessLog:
    """Writes lines to a stream; for one thread."""

    def __init__(self, stream: IO[str], log_format: str) -> None:
        self._stream = stream
        self._line: Callable[[Observation], str] = as_json if log_format == "json" else plain

    def write(self, group: list[Observation]) -> None:
        """Write a line for each request."""
        self._stream.write("".join(f"{self._line(seen)}\n" for seen in group))
        self._stream.flush()
