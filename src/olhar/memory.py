"""How much memory this process may use; what is larger is read from the disk block by block."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from olhar.control_groups import GROUPS, MOUNTS, group_folders

_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of version 2 and of version 1


def memory_bytes() -> int | None:
    """Bytes of memory that this process may use; None where the system does not tell (Windows).

    What the machine has, or less where a control group bounds it, as `docker --memory` and
    Kubernetes' limits do.
    """
    found = [memory_limit()]
    with suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((size for size in found if size is not None and size > 0), default=None)


def memory_limit(groups: Path = GROUPS, mounts: Path = MOUNTS) -> int | None:
    """Bytes that the control groups of this process grant it; None where nothing bounds them.

    Args:
        groups: see control_groups.group_folders.
        mounts: the same.
    """
    found = []
    for folder in group_folders("memory", groups, mounts):
        for name in _LIMITS:
            with suppress(OSError, ValueError):  # "max" is no number, and no bound
                found.append(int((folder / name).read_text()))
    return min(found, default=None)
