"""
How much memory this process may use, and uses: the cgroup's limits count, not only the machine's.

A limit that covers other processes, too, is compared with what all of them use together; memory
that the kernel would take back at once, such as files that were read, counts as free.
"""

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeldeploy_runtime.loaders import cgroups

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")
# A model takes a little more than its files.
FILE_FACTOR = 1.2

# cgroup v2 and v1 call the same things by different names.
_NAMES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclass(frozen=True, slots=True)
class Room:
    """How many bytes may be used, and how many of them are used now."""

    limit: int
    used: int


def room(
    own_limit: int = 0,
    root: Path = cgroups.ROOT,
    membership: Path = cgroups.MEMBERSHIP,
    meminfo: Path = MEMINFO,
) -> Room:
    """Find the limit that leaves the least; a limit of one's own counts this process alone."""
    rooms = [*_of_cgroups(root, membership), *_of_machine(meminfo)]
    if own_limit:
        rooms.append(Room(own_limit, resident()))
    return min(rooms, key=lambda one: one.limit - one.used, default=Room(1 << 62, 0))


def resident() -> int:
    """Count the bytes of memory that this process holds."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def size_of(folder: Path) -> int:
    """Estimate the memory that a model needs by the size of its files."""
    files = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return int(FILE_FACTOR * sum(files))


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it otherwise."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None


def _of_cgroups(root: Path, membership: Path) -> Iterator[Room]:
    for folder in cgroups.folders("memory", root, membership):
        for limit, used, inactive in _NAMES:
            with contextlib.suppress(OSError, ValueError):
                text = (folder / limit).read_text().strip()
                if text != "max":
                    free = _table(folder / "memory.stat").get(inactive, 0)
                    yield Room(int(text), int((folder / used).read_text()) - free)


def _of_machine(meminfo: Path) -> Iterator[Room]:
    with contextlib.suppress(OSError, KeyError):
        table = _table(meminfo)
        total = 1024 * table["MemTotal:"]
        yield Room(total, total - 1024 * table["MemAvailable:"])


def _table(path: Path) -> dict[str, int]:
    """Read lines of a word and a number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}
