"""How a sweep came to its winner: the content of search.json in the winner's run folder.

Does not know: how trials are trained or chosen, or how the choice is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORMAT = 1


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
class SearchRecord:
    """How the winner of a sweep was chosen.

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
    searched: Mapping[str, str]
    trials: Mapping[str, int]
    n_val: int
    rule: str
    finalists: list[Finalist] = field(default_factory=list)
    runner_up: int | None = None
    p: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for search.json."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchRecord:
        """Take back what `to_dict` gave; KeyError, TypeError or ValueError where it is damaged."""
        if values["format"] != FORMAT:
            raise ValueError(values["format"])
        runner_up, p = values.get("runner_up"), values.get("p")
        return cls(
            winner=int(values["winner"]),
            params=dict(values["params"]),
            method=str(values["method"]),
            metric=str(values["metric"]),
            searched={str(key): str(text) for key, text in values["searched"].items()},
            trials={str(state): int(count) for state, count in values["trials"].items()},
            n_val=int(values["n_val"]),
            rule=str(values["rule"]),
            finalists=[_finalist(one) for one in values.get("finalists", [])],
            runner_up=None if runner_up is None else int(runner_up),
            p=None if p is None else float(p),
        )


def _finalist(values: Mapping[str, Any]) -> Finalist:
    p = values.get("p")
    return Finalist(
        number=int(values["number"]),
        params=dict(values["params"]),
        seeds=[int(seed) for seed in values.get("seeds", [])],
        values=[float(value) for value in values["values"]],
        mean=float(values["mean"]),
        p=None if p is None else float(p),
        gap=float(values["gap"]),
        parameters=int(values["parameters"]),
    )
