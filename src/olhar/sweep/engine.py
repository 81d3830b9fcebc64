"""Where tasks run: one small protocol, an engine a file.

The driver alone knows the study; an engine only trains what it is given. A worker waits after each
epoch until the driver has answered whether to stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from olhar.sweep.task import Task, TaskResult


@dataclass(frozen=True)
class EpochDone:
    """A task has ended an epoch, its checkpoint is safe, and it waits for `Engine.answer`."""

    number: int
    row: dict[str, float]


@dataclass(frozen=True)
class Ended:
    """A task has ended; its slot is free."""

    number: int
    result: TaskResult


@dataclass(frozen=True)
class Lost:
    """A worker has died under a task; its slot is free (again), and the task may be started again."""

    number: int
    reason: str = ""


Event = EpochDone | Ended | Lost


class Engine(Protocol):
    """Trains tasks, some at a time."""

    slots: int
    """How many tasks may run at once; may change while it runs."""

    def start(self, task: Task) -> None:
        """Begin a task; the caller sees to it that a slot is free."""

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What has happened, oldest first; empty after `timeout_s` without anything."""

    def answer(self, number: int, *, stop: bool) -> None:
        """The answer to an `EpochDone`; a task that is gone meanwhile is passed over."""

    def close(self) -> None:
        """End all workers, at once; what they have written stays."""
