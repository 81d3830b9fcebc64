"""What a sweep knows of its trials and of its choice; plain values, no torch, no Optuna."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["waiting", "running", "complete", "stopped", "failed"]
FORMAT = 1


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
class Finalist:
    """A trial that was trained again with further seeds.

    Attributes:
        number: of the trial.
        params: what was searched, by name.
        seeds: of its trainings, the trial's own first.
        values: the metric on the validation split, one a seed.
        mean: of `values`.
        p: of the paired test against the best finalist, on the validation images: of how many has
            it more seeds right, of how many fewer (McNemar's mid-p); None for the best itself.
        gap: accuracy on the training split (as many of its images as there are validation images)
            less that on the validation split, of the trial's own model.
        parameters: of the network.
    """

    number: int
    params: dict[str, Any]
    seeds: list[int]
    values: list[float]
    mean: float
    p: float | None
    gap: float
    parameters: int


@dataclass(frozen=True)
class Decision:
    """How the winner was chosen: the content of OUT/best/search.json, for the card.

    Attributes:
        winner: number of the trial.
        params: of the winner.
        method: random, grid or tpe.
        metric: accuracy, f1 or loss, on the validation split.
        searched: name → what it was drawn from, as text (the distribution's `str()`).
        trials: how many there were of each state: {"complete": 5, "stopped": 2, "failed": 1}.
        n_val: validation images.
        rule: "only" (one complete trial), "best" (it is ahead, beyond chance where there were
            others), "simplicity" (a finalist ahead is not so beyond chance; this one overfits less
            or has fewer parameters).
        finalists: best mean first; empty where there was only one complete trial.
        runner_up: number of the finalist that the winner is told against; None without finals.
        p: of the test between winner and runner-up; None without finals.
    """

    winner: int
    params: dict[str, Any]
    method: str
    metric: str
    searched: dict[str, str]
    trials: dict[str, int]
    n_val: int
    rule: Literal["only", "best", "simplicity"]
    finalists: list[Finalist] = field(default_factory=list)
    runner_up: int | None = None
    p: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for search.json."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


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
    decision: Decision


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
