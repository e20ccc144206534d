"""
Reading how much memory there is.
"""

from pathlib import Path

import pytest

from modeldeploy_runtime.loaders import memory
from modeldeploy_runtime.loaders.memory import Room

MEMINFO = "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n"
MACHINE = Room(1_024_000, 409_600)


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "membership", "room"),
    [
        ({}, "", MACHINE),
        ({"memory.max": "max\n", "memory.current": "9\n", "memory.stat": ""}, "0::/\n", MACHINE),
        # Files that were read count as free.
        (
            {
                "pod/memory.max": "1000\n",
                "pod/memory.current": "500\n",
                "pod/memory.stat": "anon 300\ninactive_file 200\n",
            },
            "0::/pod/c\n",
            Room(1000, 300),
        ),
        (
            {
                "memory/kube/memory.limit_in_bytes": "1000\n",
                "memory/kube/memory.usage_in_bytes": "700\n",
                "memory/kube/memory.stat": "total_inactive_file 100\n",
            },
            "4:memory:/kube\n",
            Room(1000, 600),
        ),
        ({"memory.max": "rubbish\n"}, "0::/\n", MACHINE),
    ],
)
def test_the_tightest_limit_counts(
    tmp_path: Path, files: dict[str, str], membership: str, room: Room
) -> None:
    """
    Of all limits the one that leaves least counts, in cgroup v1 and v2.
    """
    _write(tmp_path / "cgroup", files)
    (tmp_path / "self").write_text(membership)
    (tmp_path / "meminfo").write_text(MEMINFO)
    found = memory.room(0, tmp_path / "cgroup", tmp_path / "self", tmp_path / "meminfo")
    assert found == room


def test_nothing_is_known(tmp_path: Path) -> None:
    """
    Where nobody says how much there is, there is enough; a limit of one's own counts all the same.
    """
    nothing = tmp_path / "none"
    assert memory.room(0, nothing, nothing, nothing).limit > 2**60
    own = memory.room(1, nothing, nothing, nothing)
    assert own.limit == 1
    assert own.used == pytest.approx(memory.resident(), rel=0.2)


def test_the_size_of_a_model(tmp_path: Path) -> None:
    """
    A model is estimated at a fifth more than its files.
    """
    _write(tmp_path, {"a": "x" * 60, "variables/b": "x" * 40})
    assert memory.size_of(tmp_path) == 120
    memory.give_back()
