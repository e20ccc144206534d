"""How many CPUs this process may use: the cgroup's quota counts, not the machine's cores."""

import math
import os
from pathlib import Path

from modeldeploy_runtime.loaders import cgroups


def available(root: Path = cgroups.ROOT, membership: Path = cgroups.MEMBERSHIP) -> int:
    """Count the CPUs that the scheduler and the cgroup's quota leave to this process."""
    cores = len(os.sched_getaffinity(0))
    quotas = [
        quota for folder in cgroups.folders("cpu", root, membership) if (quota := _quota(folder))
    ]
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas)]))


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
