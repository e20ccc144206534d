"""
Runs `modeldeploy-server fetch` and reads what it says.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testkit.model_servers import run_command


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a fetch said and left behind.
    """

    status: int
    report: dict[str, Any]
    folder: Path
    log: str


def fetch(folder: Path, uri: str, version: str = "2", *more: str, **environ: str) -> Outcome:
    """
    Fetch a version into a folder; the report stands in the output and in the termination log.
    """
    termination = folder / "termination-log"
    result = run_command(
        "fetch",
        f"--uri={uri}",
        f"--version={version}",
        f"--to={folder}",
        f"--termination-log={termination}",
        *more,
        **environ,
    )
    written = termination.read_text()
    assert written == result.stdout.strip()
    assert len(written.encode()) <= 4096
    return Outcome(result.returncode, json.loads(written), folder / version, result.stderr)


def same(left: Path, right: Path) -> bool:
    """
    Tell whether two folders hold the same files.
    """
    names = {path.relative_to(left) for path in left.rglob("*") if path.is_file()}
    return all((left / name).read_bytes() == (right / name).read_bytes() for name in names)
