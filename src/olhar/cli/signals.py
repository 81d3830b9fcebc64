"""SIGTERM and SIGHUP, which clusters, containers and closed terminals send, end a command as Ctrl-C does.

Servers have a way of their own, in which every request is answered.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class Stopped(KeyboardInterrupt):
    """A signal asks for the end; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        """As SIGTERM."""
        return signal.Signals(self.number).name


@contextmanager
def heed_signals() -> Iterator[None]:
    """Inside the block the first signal raises `Stopped`, and a second one ends the process at once.

    What was told to ignore a signal, as nohup does, goes on ignoring it. Process 1 of a container needs
    handlers: the system's own actions are not taken there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heeded = [number for number in numbers if before[number] is not signal.SIG_IGN]

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in heeded:
            signal.signal(each, _leave if os.getpid() == 1 else signal.SIG_DFL)
        raise Stopped(number)

    for number in heeded:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number] or signal.SIG_DFL)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)
