"""Standard streams of a process that serves for long: it may be started without any."""

from __future__ import annotations

import os


def hold_streams() -> None:
    """Let the numbers 0 to 2 lead nowhere where they are closed, here and in processes started later.

    A socket or the event loop would get one of them otherwise, and what a library writes to standard error
    would go there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  takes the lowest that is free
