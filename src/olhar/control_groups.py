"""The control groups of this process (Linux), in which its cores and memory may be bounded.

Source: the kernel's documentation of cgroup-v2 and of control groups of version 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

GROUPS, MOUNTS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def group_folders(controller: str, groups: Path = GROUPS, mounts: Path = MOUNTS) -> Iterator[Path]:
    """Where the bounds of a controller may stand: this process's groups and those above, of both versions.

    Args:
        controller: cpu or memory.
        groups: lists the groups of the process: hierarchy, controllers and path, between colons.
        mounts: where the control groups are mounted.
    """
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers in {"", "name=systemd"}:
            roots = (mounts, mounts / "unified")
        elif controller in controllers.split(","):
            roots = (mounts / controllers, mounts / controller)
        else:
            continue
        for root in roots:
            yield from _upwards(root, path)


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """The folder of a group and those above it, up to `root`; a container may see the last alone."""
    parts = [part for part in path.split("/") if part not in {"", ".."}]
    for count in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:count])
