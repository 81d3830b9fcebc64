"""What a sweep knows of its trials and of its winner; plain values, no torch, no Optuna."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from olhar.run.search import SearchRecord

State = Literal["waiting", "running", "complete", "stopped", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial, as it stands.

    Attributes:
        number: from 0, in the order of the draw.
        params: what was searched, by name.
        state: waiting, running, complete (trained to its end), stopped (early, on validation),
            failed.
        epoch: epochs done.
        epochs: epochs planned; 0 where it is not known yet.
        val: figures of the validation split; None before the first epoch. Of a complete trial
            accuracy, precision, recall, f1, loss, measured on its saved model; otherwise accuracy
            and loss of its best epoch so far.
        seconds: of training.
        reason: why it was stopped or failed; empty otherwise.
        folder: its run folder, relative to OUT, such as trials/003.
    """

    number: int
    params: dict[str, Any]
    state: State = "waiting"
    epoch: int = 0
    epochs: int = 0
    val: dict[str, float] | None = None
    seconds: float = 0.0
    reason: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Best:
    """The winner's run, measured once on the test split.

    Attributes:
        number: of the winning trial.
        params: of it.
        run: its full run folder, OUT/best.
        val: accuracy, precision, recall, f1, loss on the validation split.
        test: the same on the test split.
        decision: how it was chosen.
    """

    number: int
    params: dict[str, Any]
    run: Path
    val: dict[str, float]
    test: dict[str, float]
    decision: SearchRecord


@dataclass(frozen=True)
class SweepResult:
    """A sweep that has ended.

    Attributes:
        out: its folder.
        trials: by number.
        best: None where no trial was complete.
        seconds: of all calls of the command together.
    """

    out: Path
    trials: list[TrialRecord]
    best: Best | None
    seconds: float
