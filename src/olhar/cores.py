"""How many cores this process may use; training, decoding, serving and sweeps all ask here."""

from __future__ import annotations

import os
from pathlib import Path

from olhar.control_groups import GROUPS, MOUNTS, group_folders


def count_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its control groups; at least 1.

    A quota is what `docker --cpus` and Kubernetes' limits set. Of 1.5 cores one thread is used: a
    second would be held back half of the time, and the first would wait for it.
    """
    # macOS and Windows have no affinity that Python tells.
    known = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    quota = cpu_quota()
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def cpu_quota(groups: Path = GROUPS, mounts: Path = MOUNTS) -> float | None:
    """Cores that the control groups of this process grant it; None where nothing bounds them.

    Source: the kernel's documentation of cgroup-v2 (cpu.max) and of CFS bandwidth control (version 1).

    Args:
        groups: see control_groups.group_folders.
        mounts: the same.
    """
    folders = group_folders("cpu", groups, mounts)
    return min((quota for folder in folders if (quota := _quota_of(folder))), default=None)


def _quota_of(folder: Path) -> float | None:
    """Cores that one group grants: time over period, in µs."""
    try:
        if (folder / "cpu.max").is_file():
            time, period = (folder / "cpu.max").read_text().split()
        else:
            time = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return int(time) / int(period) if int(time) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number, and no bound
        return None
