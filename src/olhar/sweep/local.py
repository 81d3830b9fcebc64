"""The engine of one machine: long-lived worker processes, each with its share of the cores."""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO, Any

from olhar.children import Child
from olhar.sweep.engine import Ended, EpochDone, Event, Lost
from olhar.sweep.task import Task, TaskResult

_TAIL = 400  # bytes of what a dead worker said last


class LocalEngine:
    """Workers on this machine; one that dies is replaced when there is something to do."""

    def __init__(self, workers: int, threads: int = 1) -> None:
        """Start the workers.

        Args:
            workers: how many tasks run at once.
            threads: that each uses.
        """
        self.slots = workers
        self._threads = threads
        self._heard: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = queue.SimpleQueue()
        self._workers = [_Worker(threads, self._heard) for _ in range(workers)]

    def start(self, task: Task) -> None:
        """Give a task to a worker that has none."""
        idle = [one for one in self._workers if one.number is None]
        if not idle:
            idle = [_Worker(self._threads, self._heard)]
            self._workers += idle
        idle[0].number = task.number
        idle[0].child.say({"task": asdict(task)})

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What workers have said, oldest first."""
        found = []
        try:
            found.append(self._heard.get(timeout=timeout_s))
            while True:
                found.append(self._heard.get_nowait())
        except queue.Empty:
            pass
        events = [self._event(worker, message) for worker, message in found]
        return [one for one in events if one is not None]

    def _event(self, worker: _Worker, message: dict[str, Any] | None) -> Event | None:
        number = worker.number
        if message is None:
            self._workers.remove(worker)
            reason = worker.end()
            return None if number is None else Lost(number, reason)
        if number is None:
            return None
        if "row" in message:
            return EpochDone(number, message["row"])
        worker.number = None
        return Ended(number, TaskResult(**message["result"]))

    def answer(self, number: int, *, stop: bool) -> None:
        """Tell the worker of a task to go on or to stop."""
        for worker in self._workers:
            if worker.number == number:
                worker.child.say({"stop": stop})

    def close(self) -> None:
        """Kill all workers; what they have written stays."""
        for worker in self._workers:
            worker.child.process.kill()
        for worker in self._workers:
            worker.end()
        self._workers = []


class _Worker:
    """A child process, and the thread that hears it."""

    def __init__(
        self, threads: int, heard: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]]
    ) -> None:
        self.number: int | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker
        self.child = Child("olhar.sweep.worker:main", threads, self._errors)
        self._thread = threading.Thread(target=self._listen, args=(heard,), daemon=True)
        self._thread.start()

    def _listen(self, heard: queue.SimpleQueue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        for message in self.child.hear():
            heard.put((self, message))
        heard.put((self, None))

    def end(self) -> str:
        """See the process out; returns its exit status and the last line that it said."""
        status = self.child.kill()
        self._thread.join()
        self.child.close()
        with self._errors as errors:
            size = errors.seek(0, os.SEEK_END)
            errors.seek(max(0, size - _TAIL))
            said = errors.read().decode(errors="replace").strip().splitlines()
        return f"{status}: {said[-1]}" if said else str(status)
