"""The winner among the best trials: further seeds, a paired test, and simplicity where it is a tie.

Everything here is of the validation split.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from olhar.errors import StorageError
from olhar.evaluation.paired import mcnemar_mid_p
from olhar.i18n import Text, _
from olhar.networks.specs import count_parameters
from olhar.pipeline.trials import measure_gap
from olhar.run import Run, RunFolder
from olhar.run.search import Finalist, SearchRecord
from olhar.sweep.engine import Ended, Engine, EpochDone, Lost
from olhar.sweep.ground import Ground
from olhar.sweep.records import TrialRecord
from olhar.sweep.task import Task

SIGNIFICANT = 0.05
CLOSE = 0.005  # of the metric: with few validation images chance alone would excuse points
SMALL_GAP = 0.02
AFFORDABLE = 0.5  # of the time of the trials, for further seeds that nobody asked for
_MOST_LOSSES = 3
_WAIT_S = 1.0


def rank(ground: Ground, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that were trained to their end, best first; of equals the first."""
    complete = [one for one in trials if one.state == "complete" and one.val]
    return sorted(complete, key=lambda one: (-_score(ground, one.val or {}), one.number))


def plan_finals(
    ground: Ground, trials: Sequence[TrialRecord], note: Callable[[Text], None]
) -> list[Task]:
    """The trainings with further seeds that are still to be done.

    Where nobody said how many seeds, there is one if that costs at most half of what the trials
    have cost.
    """
    settings = ground.settings
    finalists = rank(ground, trials)[: settings.finalists]
    if len(finalists) < 2:
        return []
    seeds = settings.extra_seeds
    if seeds is None:
        spent, cost = (sum(one.seconds for one in group) for group in (trials, finalists))
        seeds = int(cost <= AFFORDABLE * spent)
        if not seeds:
            note(
                _(
                    "no further seeds: they would take {share} of the time of the whole search; "
                    "--extra-seeds 1 trains them all the same",
                    share=f"{cost / spent:.0%}",
                )
            )
    tasks: list[Task] = []
    for place in range(1, seeds + 1):
        for one in finalists:
            number, seed = len(tasks), settings.seed + place
            task = ground.task(number, one.params, _final(one.number, seed), seed)
            tasks.append(task)
    return [one for one in tasks if not RunFolder(one.folder).metrics.is_file()]


def train_finals(engine: Engine, tasks: Sequence[Task], note: Callable[[Text], None]) -> None:
    """Train them all to their end; one that fails is told and left out.

    Raises:
        StorageError: the disk is full.
    """
    waiting, running = list(tasks), dict[int, Task]()
    losses: Counter[int] = Counter()
    while waiting or running:
        while waiting and len(running) < engine.slots:
            task = waiting.pop(0)
            running[task.number] = task
            engine.start(task)
        for event in engine.wait(_WAIT_S):
            match event:
                case EpochDone(number=number):
                    engine.answer(number, stop=False)
                case Lost(number=number):
                    losses[number] += 1
                    task = running.pop(number)
                    if losses[number] < _MOST_LOSSES:
                        waiting.append(task)
                case Ended(number=number, result=result):
                    name = Path(running.pop(number).folder).name
                    if result.code == StorageError.code:
                        raise StorageError(result.reason)
                    if result.state != "complete":
                        note(_("final {name} failed: {reason}", name=name, reason=result.reason))
                    else:
                        note(_("final {name} is done", name=name))


def decide(ground: Ground, trials: Sequence[TrialRecord]) -> SearchRecord | None:
    """The winner, from the run folders of the finalists; None where no trial is complete."""
    ranked = rank(ground, trials)
    if not ranked:
        return None
    finalists = _finalists(ground, ranked) if len(ranked) > 1 else []
    winner = _simplest(finalists) if finalists else None
    number = winner.number if winner else ranked[0].number
    runner_up = next((one for one in finalists if one.number != number), None)
    ahead = not finalists or finalists[0].number == number
    tested = [one.p for one in (winner, runner_up) if one is not None and one.p is not None]
    settings = ground.settings
    return SearchRecord(
        winner=number,
        params=next(one.params for one in ranked if one.number == number),
        method=settings.method,
        metric=settings.metric,
        searched={name: str(one) for name, one in settings.space.items()},
        trials=dict(Counter(one.state for one in trials if one.state != "waiting")),
        n_val=ground.n_val,
        rule=("best" if ahead else "simplicity") if finalists else "only",
        finalists=finalists,
        runner_up=runner_up.number if runner_up else None,
        p=tested[0] if tested else None,
    )


def _finalists(ground: Ground, ranked: Sequence[TrialRecord]) -> list[Finalist]:
    """The finalists with their figures over the seeds that all of them have, best mean first."""
    settings = ground.settings
    chosen = ranked[: max(2, settings.finalists)]
    seeds = [settings.seed]
    while all(_run(ground, one.number, seeds[-1] + 1).measured for one in chosen):
        seeds.append(seeds[-1] + 1)
    runs = {one.number: [_run(ground, one.number, seed) for seed in seeds] for one in chosen}
    values = {
        number: [float(getattr(run.report, settings.metric)) for run in several]
        for number, several in runs.items()
    }
    right = {
        number: np.sum([[one.is_right for one in run.answers] for run in several], axis=0)
        for number, several in runs.items()
    }  # (n_val,) int64 each: by how many seeds an image is labelled rightly
    sign = -1 if settings.metric == "loss" else 1
    order = sorted(
        chosen, key=lambda one: (-sign * statistics.mean(values[one.number]), one.number)
    )
    best = order[0].number
    return [
        Finalist(
            number=one.number,
            params=one.params,
            seeds=list(seeds),
            values=values[one.number],
            mean=statistics.mean(values[one.number]),
            p=None if one.number == best else _paired_p(right[best], right[one.number]),
            gap=measure_gap(runs[one.number][0], ground.n_val),
            parameters=count_parameters(runs[one.number][0].network)[0],
        )
        for one in order
    ]


def _simplest(finalists: Sequence[Finalist]) -> Finalist:
    """Of those that are close to the best, and not behind it beyond chance: no overfitting, then few
    parameters.
    """
    best = finalists[0].mean
    level = [
        one
        for one in finalists
        if one.p is None or (one.p >= SIGNIFICANT and abs(one.mean - best) <= CLOSE)
    ]
    bound = max(SMALL_GAP, min(one.gap for one in level))
    fit = [one for one in level if one.gap <= bound]
    return min(fit, key=lambda one: (one.parameters, finalists.index(one)))


def _paired_p(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    return mcnemar_mid_p(int((first > second).sum()), int((second > first).sum()))


def _run(ground: Ground, number: int, seed: int) -> Run:
    own = seed == ground.settings.seed
    return Run(ground.out / (f"trials/{number:03}" if own else _final(number, seed)))


def _final(number: int, seed: int) -> str:
    return f"finals/{number:03}-seed{seed}"


def _score(ground: Ground, val: dict[str, float]) -> float:
    value = val[ground.settings.metric]
    return -value if ground.settings.metric == "loss" else value
