"""
Counting CPUs in cgroups.
"""

import os
from pathlib import Path

import pytest

from modeldeploy_runtime.loaders import cpus

CORES = len(os.sched_getaffinity(0))


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "membership", "quota"),
    [
        ({}, "", None),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        ({"cpu.max": "50000 100000\n"}, "0::/\n", 1),
        ({"cpu.max": "100000 100000\n"}, "0::/\n", 1),
        ({"pod/cpu.max": "100000 100000\n", "pod/c/cpu.max": "max 100000\n"}, "0::/pod/c\n", 1),
        (
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            "4:cpu,cpuacct:/\n",
            None,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            "4:cpu,cpuacct:/kubepods/a\n",
            1,
        ),
        ({"cpu.max": "rubbish\n"}, "0::/\n", None),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], membership: str, quota: int | None) -> None:
    """
    The smallest quota of all folders above counts, rounded up, in cgroup v1 and v2.
    """
    _write(tmp_path / "cgroup", files)
    (tmp_path / "self").write_text(membership)
    expected = CORES if quota is None else min(CORES, quota)
    assert cpus.available(tmp_path / "cgroup", tmp_path / "self") == expected


def test_no_cgroups(tmp_path: Path) -> None:
    """
    Where there are no cgroups the scheduler's answer counts.
    """
    assert cpus.available(tmp_path / "none", tmp_path / "none") == CORES
