"""How many CPUs this process may use: the cgroup's quota counts, not the machine's cores."""

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
SELF_CGROUP = Path("/proc/self/cgroup")


def available(root: Path = CGROUP_ROOT, membership: Path = SELF_CGROUP) -> int:
    """Count the CPUs that the scheduler and the cgroup's quota leave to this process."""
    cores = len(os.sched_getaffinity(0))
    quotas = [quota for folder in _folders(root, membership) if (quota := _quota(folder))]
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas)]))


def _folders(root: Path, membership: Path) -> list[Path]:
    """
    List the folders whose limits bind this process.

    Inside a container the group's own folder is usually the root of what is mounted; elsewhere it
    lies deeper, and each folder above it may set a limit too.
    """
    bases = [root, root / "cpu", root / "cpu,cpuacct"]
    paths = {"/"}
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in {"", "cpu", "cpu,cpuacct", "cpuacct,cpu"}:
            paths.update(str(parent) for parent in (Path(path), *Path(path).parents))
    return [base / path.lstrip("/") for base in bases for path in paths]


def _quota(folder: Path) -> float | None:
    """Read one folder's limit in CPUs, of cgroup v2 or v1."""
    try:
        both = folder / "cpu.max"
        if both.exists():
            quota, period = both.read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        if quota == "max" or int(quota) <= 0:
            return None
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
