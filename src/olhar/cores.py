"""How many cores this process may use; training, decoding, serving and sweeps all ask here."""

from __future__ import annotations

import os
from pathlib import Path

from olhar.control_groups import GROUPS, MOUNTS, group_folders

# How long a thread waits for the others at full speed before it sleeps. The runtimes' own are 300,000
# rounds (up to 17 ms) and 200 ms: beside other work, which keeps a thread from its core for some ms,
# all of that is lost in each step. Measured by benchmarks/contention.py; see docs/experiments.md.
# GNU's in rounds; LLVM's and Intel's in ms.
_WAITING = {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "1"}
# The same for the threads of ONNX Runtime, in µs.
SPIN_US = 200


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


def count_threads() -> int:
    """Threads for this process: OMP_NUM_THREADS where that is set, as elsewhere, else all cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and 0 < int(asked) < 1024 else count_cores()


def bound_waiting() -> None:
    """Have threads of OpenMP sleep early while they wait; before torch is loaded, which reads it then.

    Whoever has set OMP_WAIT_POLICY, or one of these variables, keeps it. No result depends on it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        for name, value in _WAITING.items():
            os.environ.setdefault(name, value)


def describe_waiting() -> dict[str, str]:
    """The variables that say how threads wait, as they are now."""
    names = ("OMP_WAIT_POLICY", *_WAITING)
    return {name: os.environ[name] for name in names if name in os.environ}


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
