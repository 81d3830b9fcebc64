"""One worker for several projects: what they ask of it waits in one line, in the order it came.

Does not know: what is asked.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from olhar.studio.workers import Event, Worker

Line = Sequence[
    tuple[str, Mapping[str, Any]]
]  # the name of a seat and its task, of those that wait
_ENDS = frozenset({"done", "failed", "stopped", "died"})


class Asked(Protocol):
    """What a project asks for things: a worker of its own, or a seat at a shared one."""

    def ask(self, task: Mapping[str, Any]) -> None:
        """Hand it a task."""

    def interrupt(self) -> None:
        """Stop what it is doing for this project, or is going to do."""

    def leave(self) -> None:
        """Let it end what it is doing."""

    def end(self) -> None:
        """End it at once."""


Hire = Callable[[Callable[[Event], None]], Asked]


class Shared:
    """A worker that several projects ask. Methods may be called from several threads."""

    def __init__(self, cores: int = 0, keep: Callable[[Line], None] | None = None) -> None:
        """Start it.

        Args:
            cores: that it may use; 0 leaves that to it.
            keep: called with the tasks with an "id" that wait, whenever others do, until it is closed.
        """
        self._lock = threading.Lock()
        self._keep = keep
        self._line: list[tuple[Seat, Mapping[str, Any]]] = []
        self._current: tuple[Seat, Mapping[str, Any]] | None = None
        self._is_ready = False
        # Events are told by one thread, in order, while no lock is held that those who hear may want.
        self._told: queue.SimpleQueue[tuple[Callable[[Event], None], Event]] = queue.SimpleQueue()
        threading.Thread(target=self._tell, daemon=True).start()
        self._worker = Worker(self._hear, cores)

    def seat(self, name: str, hear: Callable[[Event], None]) -> Seat:
        """A place for one project; besides what a worker says, `hear` is told of its place in the line.

        {"event": "waiting", "id", "place", "names"}: of those with an "id", the one at work is the first;
        {"event": "begun", "id"}.
        """
        return Seat(self, name, hear)

    def names(self) -> list[str]:
        """Whose tasks there are: the one at work, then those that wait."""
        with self._lock:
            return self._names()

    def close(self) -> None:
        """Let it end what it is doing, and then itself; what waits is left to whoever was told of it."""
        with self._lock:
            self._keep = None
            self._line.clear()
        self._worker.leave()

    def kill(self) -> None:
        """End it at once."""
        with self._lock:
            self._line.clear()
        self._worker.end()

    def add(self, seat: Seat, task: Mapping[str, Any]) -> None:
        """A task goes to the end of the line."""
        with self._lock:
            if task["do"] == "prepare":
                if self._is_ready:
                    return
                self._is_ready = True
            self._line.append((seat, task))
            self._go_on()

    def drop(self, seat: Seat) -> None:
        """Forget what waits for a seat."""
        with self._lock:
            gone = [task for one, task in self._line if one is seat]
            self._line = [(one, task) for one, task in self._line if one is not seat]
            for task in gone:
                self._told.put((seat.hear, {"event": "stopped", "id": task.get("id")}))
            self._say_places()

    def interrupt(self, seat: Seat) -> None:
        """Stop what is done for a seat; or what waits for it."""
        with self._lock:
            current = self._current
            if current is not None and current[0] is seat and current[1].get("id"):
                self._worker.interrupt()
                return
        self.drop(seat)

    def _names(self) -> list[str]:
        current = [] if self._current is None else [self._current]
        return [seat.name for seat, task in (*current, *self._line) if task.get("id")]

    def _go_on(self) -> None:
        if self._current is None and self._line:
            self._current = self._line.pop(0)
            seat, task = self._current
            self._told.put((seat.hear, {"event": "begun", "id": task.get("id")}))
            self._worker.ask(task)
        self._say_places()

    def _say_places(self) -> None:
        names = self._names()
        trainings = [one for one in self._line if one[1].get("id")]
        for place, (seat, task) in enumerate(trainings, len(names) - len(trainings) + 1):
            event: dict[str, Any] = {"event": "begun", "id": task["id"]}
            if place > 1:  # the first waits for no other's training
                event |= {"event": "waiting", "place": place, "names": names}
            self._told.put((seat.hear, event))
        if self._keep is not None:
            self._keep([(seat.name, task) for seat, task in trainings])

    def _hear(self, event: Event) -> None:
        with self._lock:
            if self._current is None:
                return
            self._told.put((self._current[0].hear, event))
            if event["event"] in _ENDS:
                self._current = None
                self._go_on()

    def _tell(self) -> None:
        while True:
            hear, event = self._told.get()
            hear(event)


class Seat:
    """One project's place at a shared worker."""

    def __init__(self, shared: Shared, name: str, hear: Callable[[Event], None]) -> None:
        self._shared, self.name, self.hear = shared, name, hear

    def ask(self, task: Mapping[str, Any]) -> None:
        """Hand it a task, which waits for those before it."""
        self._shared.add(self, task)

    def interrupt(self) -> None:
        """Stop what is done for this project, or forget what waits for it."""
        self._shared.interrupt(self)

    def leave(self) -> None:
        """Forget what waits; what is done is carried to its end."""
        self._shared.drop(self)

    def end(self) -> None:
        """Forget what waits; the worker is others' too."""
        self._shared.drop(self)
