"""What ``fetch`` says in the end: one JSON object that fits a termination message, and a status."""

import json
from dataclasses import dataclass, replace

from modeldeploy_runtime.fetching.errors import PERMANENT, Code

# Kubernetes keeps no more of it.
MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Report:
    """
    The outcome of a fetch.

    ``bytes`` is how large the version is, and ``downloaded`` how much of it came from the storage:
    nothing where it was here already.  ``warning`` says what was found wrong with a version that
    was fetched all the same.
    """

    code: Code
    message: str
    digest: str = ""
    files: int = 0
    bytes: int = 0
    downloaded: int = 0
    warning: str = ""

    @property
    def exit_status(self) -> int:
        """0 for success, 2 for what stays as it is, 1 for what may pass."""
        if self.code is Code.FETCHED:
            return 0
        return 2 if self.code in PERMANENT else 1

    def to_json(self) -> str:
        """Write the object, with sentences that are cut until everything fits."""
        report = self
        while True:
            text = report._to_json()
            excess = len(text.encode()) - MAX_BYTES
            if excess <= 0:
                return text
            if len(report.warning) > len(report.message):
                report = replace(report, warning=_cut(report.warning, excess))
            else:
                report = replace(report, message=_cut(report.message, excess))

    def _to_json(self) -> str:
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, object]:
        """Write the object as it is, however long its sentences are."""
        return {
            "code": self.code.value,
            "permanent": self.code in PERMANENT,
            "message": self.message,
            "digest": self.digest,
            "files": self.files,
            "bytes": self.bytes,
            "downloaded": self.downloaded,
            **({"warning": self.warning} if self.warning else {}),
        }


def _cut(text: str, excess: int) -> str:
    """Shorten a text; a character takes at most twelve bytes, and too little only takes a turn."""
    return text[: max(0, len(text) - max(1, excess // 12) - 1)].rstrip("…") + "…"
