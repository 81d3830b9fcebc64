"""The command under torchrun: one process runs it, the others take part in its trainings."""

from __future__ import annotations

import os
from collections.abc import Callable


def run_in_group(main: Callable[[], int]) -> int:
    """`main`, in the first of the processes that torchrun started; returns the exit status."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ:
        return main()
    from olhar.pipeline.group import run_ranks

    return run_ranks(main)
