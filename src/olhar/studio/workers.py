"""Child processes that are asked for things, one after another; started anew when they die.

Does not know: what they do (see worker).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

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
        self._process = self._start()

    def ask(self, task: Mapping[str, Any]) -> None:
        """Hand it a task, which waits for those before it."""
        line = json.dumps(task) + "\n"
        with self._lock:
            if self._process.poll() is not None:
                self._process = self._start()
            assert self._process.stdin
            with suppress(OSError):  # it has just died, which `hear` is told
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def interrupt(self) -> None:
        """Stop what it is doing, as Ctrl-C does."""
        with self._lock:
            if sys.platform == "win32":
                self._process.terminate()
            else:
                self._process.send_signal(signal.SIGINT)

    def leave(self) -> None:
        """Let it end what it is doing, and then itself."""
        with self._lock, suppress(OSError):
            assert self._process.stdin
            self._process.stdin.close()

    def end(self) -> None:
        """End it at once."""
        with self._lock:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[str]:
        package = str(Path(__file__).parents[2])
        paths = [package, os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        if self._cores:
            environment |= {"OMP_NUM_THREADS": str(self._cores)}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "olhar.studio.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=environment,
            # Ctrl-C in the terminal is for the studio alone, which says what is to be done.
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        with suppress(ValueError, OSError):
            for line in process.stdout:
                with suppress(json.JSONDecodeError):
                    self._hear(json.loads(line))
        if process.wait() != 0:
            self._hear({"event": "died", "status": process.returncode})
