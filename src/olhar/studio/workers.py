"""Child processes that are asked for things, one after another; started anew when they die.

Does not know: what they do (see worker).
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from olhar.children import Child

Event = Mapping[str, Any]


class Worker:
    """One child process. `hear` is called, in a thread of its own, with each thing that it says."""

    def __init__(self, hear: Callable[[Event], None], cores: int = 0) -> None:
        """Start it.

        Args:
            hear: takes what it says; {"event": "died"} where it ended by itself.
            cores: that it may use; 0 leaves that to it.
        """
        self._hear, self._cores = hear, cores
        self._lock = threading.Lock()
        self._child = self._start()

    def ask(self, task: Mapping[str, Any]) -> None:
        """Hand it a task, which waits for those before it."""
        with self._lock:
            if self._child.process.poll() is not None:
                self._child = self._start()
            self._child.say(task)

    def interrupt(self) -> None:
        """Stop what it is doing, as Ctrl-C does."""
        with self._lock:
            if sys.platform == "win32":
                self._child.process.terminate()
            else:
                self._child.process.send_signal(signal.SIGINT)

    def leave(self) -> None:
        """Let it end what it is doing, and then itself."""
        with self._lock, suppress(OSError):
            self._child.questions.close()

    def end(self) -> None:
        """End it at once."""
        with self._lock:
            self._child.kill()

    def _start(self) -> Child:
        # Ctrl-C in the terminal is for the studio alone, which says what is to be done.
        child = Child("olhar.studio.worker:main", self._cores, own_session=True)
        threading.Thread(target=self._listen, args=(child,), daemon=True).start()
        return child

    def _listen(self, child: Child) -> None:
        with suppress(ValueError, OSError):
            for event in child.hear():
                self._hear(event)
        status = child.process.wait()
        if status != 0:
            self._hear({"event": "died", "status": status})
