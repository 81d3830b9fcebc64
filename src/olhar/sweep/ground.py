"""What all trials of a sweep stand on: its folder, its validation images, its time."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.errors import explain_os_errors
from olhar.files import write_atomic
from olhar.sweep.settings import SweepSettings
from olhar.sweep.task import Task


@dataclass(frozen=True)
class Ground:
    """What all trials of a sweep have in common.

    Attributes:
        settings: what is searched.
        out: the sweep's folder.
        n_val: validation images.
        chance: share of the largest class among them: what is right without looking.
        threads: of each trial.
    """

    settings: SweepSettings
    out: Path
    n_val: int
    chance: float
    threads: int

    def task(self, number: int, params: dict[str, Any], folder: str, seed: int) -> Task:
        """The training of a trial, in a folder of `out`."""
        return Task(
            number=number,
            data=dataclasses.asdict(self.settings.data),
            network=self.settings.network,
            settings=trial_settings(self.settings, params, seed),
            folder=str(self.out / folder),
            threads=self.threads,
        )

    def is_chance(self, accuracy: float) -> bool:
        """Whether an accuracy may come from always saying the largest class: within two errors."""
        error = math.sqrt(self.chance * (1 - self.chance) / self.n_val)
        return not accuracy > self.chance + 2 * error


class Clock:
    """How long a sweep has taken, over all calls of its command."""

    def __init__(self, out: Path) -> None:
        self._path = out / "seconds.txt"
        with explain_os_errors(self._path):
            self._before = float(self._path.read_text()) if self._path.is_file() else 0.0
        self._begun = time.monotonic()

    def seconds(self) -> float:
        """Until now."""
        return self._before + time.monotonic() - self._begun

    def save(self) -> None:
        """Keep it for the next call."""
        write_atomic(self._path, f"{self.seconds():.3f}\n")


def trial_settings(settings: SweepSettings, params: dict[str, Any], seed: int) -> dict[str, Any]:
    """The settings of recipe and network that a trial is trained with."""
    return {**settings.fixed, **params, "seed": seed}
