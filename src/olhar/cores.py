"""How many cores this process may use; training, decoding, serving and sweeps all ask here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS, _MOUNTS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# How long a thread waits for the others at full speed before it sleeps. The runtimes' own are 300,000
# rounds (up to 17 ms) and 200 ms: beside other work, which keeps a thread from its core for some ms,
# all of that is lost in each step. Measured by benchmarks/contention.py; see docs/experiments.md.
_WAITING = {
    "GOMP_SPINCOUNT": "1000",
    "KMP_BLOCKTIME": "1",
}  # GNU's in rounds; LLVM's, Intel's in ms
# The same for the threads of ONNX Runtime, in µs.
SPIN_US = 1000


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


def cpu_quota(groups: Path = _GROUPS, mounts: Path = _MOUNTS) -> float | None:
    """Cores that the control groups of this process grant it; None where nothing bounds them.

    Source: the kernel's documentation of cgroup-v2 (cpu.max) and of CFS bandwidth control (version 1).

    Args:
        groups: lists the groups of the process: hierarchy, controllers and path, between colons.
        mounts: where the control groups are mounted.
    """
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers in {"", "name=systemd"}:
            roots = (mounts, mounts / "unified")
        elif "cpu" in controllers.split(","):
            roots = (mounts / controllers, mounts / "cpu")
        else:
            continue
        for root in roots:
            found += [quota for folder in _upwards(root, path) if (quota := _quota_of(folder))]
    return min(found, default=None)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """The folder of a group and those above it, up to `root`; a container may see the last alone."""
    parts = [part for part in path.split("/") if part not in {"", ".."}]
    for count in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:count])


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
