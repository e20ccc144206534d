"""What ``fetch`` says in the end: one JSON object that fits a termination message, and a status."""

import json
from dataclasses import dataclass

from modeldeploy_runtime.fetching.errors import PERMANENT, Code

# Kubernetes keeps no more of it.
MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a fetch."""

    code: Code
    message: str
    digest: str = ""
    files: int = 0
    bytes: int = 0

    @property
    def exit_status(self) -> int:
        """0 for success, 2 for what stays as it is, 1 for what may pass."""
        if self.code is Code.FETCHED:
            return 0
        return 2 if self.code in PERMANENT else 1

    def to_json(self) -> str:
        """Write the object, with a message that is cut until everything fits."""
        message = self.message
        while True:
            text = self._to_json(message)
            excess = len(text.encode()) - MAX_BYTES
            if excess <= 0:
                return text
            # A character takes at most twelve bytes; cutting too little only takes a turn more.
            message = message[: max(0, len(message) - max(1, excess // 12) - 1)].rstrip("…") + "…"

    def _to_json(self, message: str) -> str:
        return json.dumps(
            {
                "code": self.code.value,
                "permanent": self.code in PERMANENT,
                "message": message,
                "digest": self.digest,
                "files": self.files,
                "bytes": self.bytes,
            }
        )
