"""
The repository as the house tests see it: what is committed.
"""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@cache
def tracked() -> tuple[str, ...]:
    """
    List the committed files, as paths from the root.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    names = listed.stdout.split("\0")
    return tuple(name for name in names if name and (ROOT / name).is_file())


def modules() -> tuple[str, ...]:
    """
    List the Python files that people write; generated ones apart.
    """
    return tuple(
        name
        for name in tracked()
        if name.endswith(".py") and not name.endswith(("_pb2.py", "_pb2_grpc.py"))
    )


@cache
def text(name: str) -> str:
    """
    Read a committed file; one that is not text is empty.
    """
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
