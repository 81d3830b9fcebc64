"""The driver of a sweep: it draws trials, has them trained, stops or pauses them, and records all.

It alone speaks to the study; engines only train. Whatever it knows is in the study and the run
folders, so a driver that was killed goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from olhar import i18n
from olhar.errors import StorageError
from olhar.files import write_atomic
from olhar.i18n import _
from olhar.pipeline.trials import plan_trial
from olhar.run import Run, best_epoch
from olhar.run.history import epoch_score
from olhar.sweep.baseline import baseline, list_trials
from olhar.sweep.engine import Ended, Engine, EpochDone, Event, Lost
from olhar.sweep.ground import Clock, Ground, trial_settings
from olhar.sweep.records import State, TrialRecord
from olhar.sweep.rungs import BRACKET, Score, Standing, allowed, rungs
from olhar.sweep.study import Study
from olhar.sweep.task import TaskResult, val_figures

MOST_LOSSES = 3  # of a worker under one trial
_WAIT_S = 1.0
_STATES: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "stopped", "FAIL": "failed"}
Show = Callable[[Sequence[TrialRecord]], None]


@dataclass
class _Trial:
    number: int
    params: dict[str, Any]
    epochs: int
    state: State = "waiting"
    rows: list[dict[str, float]] = field(default_factory=list)
    val: dict[str, float] | None = None
    reason: str = ""
    losses: int = 0

    @property
    def ended(self) -> bool:
        return self.state in {"complete", "stopped", "failed"}

    @property
    def seconds(self) -> float:
        return sum(row["seconds"] for row in self.rows)


class Search:
    """The trials of a sweep, and what is to be done next."""

    def __init__(self, ground: Ground, study: Study, clock: Clock, show: Show) -> None:
        """Take up what the study and the run folders hold."""
        settings = ground.settings
        self._settings, self._study, self._ground = settings, study, ground
        self._clock, self._show = clock, show
        self._drawn = list_trials(settings)
        first = baseline(settings)
        self._anchor = self._drawn.index(first) if first in self._drawn else None
        self._trials = [
            self._taken_up(one.number, dict(one.params), one.state.name, one.user_attrs)
            for one in study.trials()
        ]

    def records(self) -> list[TrialRecord]:
        """All trials as they stand, those not yet begun among them."""
        found = [
            TrialRecord(
                number=one.number,
                params=one.params,
                state=one.state,
                epoch=len(one.rows),
                epochs=one.epochs,
                val=one.val or self._val_so_far(one),
                seconds=one.seconds,
                reason=one.reason,
                folder=_path(one.number),
            )
            for one in self._trials
        ]
        if not self._may_begin():
            return found
        for number in range(len(found), self._total()):
            params = self._drawn[number] if number < len(self._drawn) else {}
            found.append(TrialRecord(number, params))
        return found

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return all(one.ended for one in self._trials) and not self._may_begin()

    def run(self, engine: Engine) -> None:
        """Train until every trial has ended.

        Raises:
            StorageError: the disk is full, or the database gone; the trials stay as they are.
        """
        while True:
            self._fill(engine)
            if not self._running():
                break
            for event in engine.wait(_WAIT_S):
                self._hear(event, engine)
        self._show(self.records())

    def _fill(self, engine: Engine) -> None:
        self._settle()
        while len(self._running()) < engine.slots:
            trial = self._next()
            if trial is None:
                break
            trial.state = "running"
            seed = self._settings.seed
            engine.start(self._ground.task(trial.number, trial.params, _path(trial.number), seed))
            self._show(self.records())

    def _next(self) -> _Trial | None:
        """What to train next: a paused trial that may go on, the most promising first, else a new one."""
        may = {number for group in self._groups() for number in self._allowed(group)}
        paused = [one for one in self._trials if one.state == "waiting" and one.number in may]
        if paused:
            return min(
                paused,
                key=lambda one: (one.number // BRACKET, [-x for x in self._best(one)], one.number),
            )
        return self._begin() if self._may_begin() else None

    def _begin(self) -> _Trial:
        number = len(self._trials)
        known = number < len(self._drawn)
        params = self._drawn[number] if known else self._study.suggest(number)
        self._study.add(number, params)
        trial = self._taken_up(number, params, "RUNNING", {})
        self._trials.append(trial)
        return trial

    def _may_begin(self) -> bool:
        if len(self._trials) >= self._total():
            return False
        return not self._settings.minutes or self._left_s() > self._whole_s()

    def _left_s(self) -> float:
        return 60 * self._settings.minutes - self._clock.seconds()

    def _whole_s(self) -> float:
        """What a whole training takes, as far as is known: so long before the end none begins."""
        rows = [row["seconds"] for one in self._trials for row in one.rows]
        return max(one.epochs for one in self._trials) * sum(rows) / len(rows) if rows else 0.0

    def _total(self) -> int:
        return self._settings.trials if self._settings.method == "tpe" else len(self._drawn)

    def _running(self) -> list[_Trial]:
        return [one for one in self._trials if one.state == "running"]

    def _groups(self) -> list[list[_Trial]]:
        """The brackets."""
        starts = range(0, len(self._trials), BRACKET)
        return [self._trials[start : start + BRACKET] for start in starts]

    def _allowed(self, group: Sequence[_Trial]) -> set[int]:
        """The numbers of a bracket's trials that may go on."""
        racing = [one for one in group if one.state in {"waiting", "running", "complete"}]
        if self._settings.minutes and self._left_s() <= 0:  # the best alone, if there is none yet
            if any(one.state == "complete" for one in self._trials):
                return set()
            racing = [one for one in self._trials if not one.ended]
            return {max(racing, key=self._best).number} if racing else set()
        if self._settings.pruner != "asha":
            return {one.number for one in racing}
        standings = [
            Standing(one.number, self._scores(one), one.state == "complete") for one in racing
        ]
        if self._may_begin():
            first = group[0].number
            begun = len(group)
            planned = min(BRACKET, self._total() - first)
            standings += [Standing(first + place, ()) for place in range(begun, planned)]
        epochs = max((one.epochs for one in racing), default=1)
        return allowed(standings, epochs, self._settings.finalists, self._anchor)

    def _settle(self) -> None:
        """End the paused trials that are hopeless, and those of brackets in which nothing changes."""
        for one in self._trials:
            if one.state == "waiting" and one.rows:
                reason = self._hopeless(one)
                if reason:
                    self._stop(one, reason)
        for group in self._groups():
            paused = [one for one in group if one.state == "waiting"]
            open_ones = self._may_begin() and len(group) < BRACKET
            if not paused or open_ones or any(one.state == "running" for one in group):
                continue
            if not self._allowed(group) & {one.number for one in paused}:
                for one in paused:
                    self._stop(one, self._why_not(one, len(group)))

    def _why_not(self, one: _Trial, among: int) -> str:
        if self._settings.minutes and self._left_s() <= 0:
            return str(_("the time was up"))
        found = self._at_chance(one)
        return found or str(
            _(
                "not among the best of {n} trials after epoch {epochs}",
                n=among,
                epochs=len(one.rows),
            )
        )

    def _hear(self, event: Event, engine: Engine) -> None:
        number = event.number
        trial = self._trials[number]
        match event:
            case EpochDone(row=row):
                self._take_rows(trial, row)
                stop = self._judge(trial)
                self._clock.save()
                engine.answer(number, stop=stop)
            case Ended(result=result):
                self._end(trial, result)
            case Lost(reason=reason):
                self._take_rows(trial)
                trial.state = "waiting"
                trial.losses += 1
                if trial.losses >= MOST_LOSSES:
                    told = _("its worker died {n} times ({reason})", n=MOST_LOSSES, reason=reason)
                    self._fail(trial, str(told), "")
        self._show(self.records())

    def _judge(self, trial: _Trial) -> bool:
        """Whether a trial stops after this epoch: for good (then it has a reason), or for now."""
        if len(trial.rows) >= trial.epochs:
            return False
        trial.reason = self._hopeless(trial)
        group = self._groups()[trial.number // BRACKET]
        return bool(trial.reason) or trial.number not in self._allowed(group)

    def _hopeless(self, trial: _Trial) -> str:
        """Why a trial is not worth another epoch; empty where it may be."""
        done = len(trial.rows)
        if done >= trial.epochs or self._settings.pruner == "none":
            return ""
        if self._settings.pruner == "median" and self._study.is_below_median(trial.number):
            return str(_("below the median of the other trials after epoch {epochs}", epochs=done))
        return self._at_chance(trial) if done >= max(2, *rungs(trial.epochs)[:1]) else ""

    def _at_chance(self, trial: _Trial) -> str:
        """Why a trial is no better than a guess; empty where it is."""
        best = max((row["val_accuracy"] for row in trial.rows), default=1.0)
        if not self._ground.is_chance(best):
            return ""
        return str(
            _(
                "at chance: validation accuracy {accuracy} after epoch {epochs}; always saying the "
                "largest class gives {share}",
                accuracy=i18n.number(best, 4),
                epochs=len(trial.rows),
                share=i18n.number(self._ground.chance, 4),
            )
        )

    def _end(self, trial: _Trial, result: TaskResult) -> None:
        if result.code == StorageError.code:
            raise StorageError(
                _(
                    "{reason} (trial {number}); when there is room again, the same command goes on",
                    reason=result.reason,
                    number=trial.number,
                )
            )
        self._take_rows(trial)
        if result.state == "complete" and self._settings.metric in result.val:
            trial.val = result.val
            self._finish(trial, "complete")
        elif result.state == "complete":
            told = _("its validation {metric} is no number", metric=self._settings.metric)
            self._stop(trial, str(told))
        elif result.state == "failed":
            self._fail(trial, result.reason, result.trace)
        elif result.reason or trial.reason:
            self._stop(trial, result.reason or trial.reason)
        else:
            trial.state = "waiting"

    def _stop(self, trial: _Trial, reason: str) -> None:
        trial.reason = reason
        self._finish(trial, "stopped")

    def _fail(self, trial: _Trial, reason: str, trace: str) -> None:
        write_atomic(self._run_of(trial.number).path / "error.txt", f"{reason}\n\n{trace}")
        trial.reason = reason
        self._finish(trial, "failed")

    def _finish(self, trial: _Trial, state: State) -> None:
        from optuna.trial import TrialState

        name = next(name for name, ours in _STATES.items() if ours == state)
        value = trial.val[self._settings.metric] if state == "complete" and trial.val else None
        facts = {"reason": trial.reason, "val": trial.val or self._val_so_far(trial)}
        self._study.finish(trial.number, TrialState[name], value, facts)
        trial.state = state

    def _taken_up(
        self, number: int, params: dict[str, Any], state: str, facts: dict[str, Any]
    ) -> _Trial:
        """A trial as study and folder know it."""
        settings = trial_settings(self._settings, params, self._settings.seed)
        plan = plan_trial(self._settings.data, self._settings.network, settings)
        epochs = plan.recipe.epochs
        trial = _Trial(number, params, epochs, _STATES.get(state, "waiting"))
        trial.reason = str(facts.get("reason", ""))
        self._take_rows(trial)
        if trial.state == "complete":
            trial.val = val_figures(self._run_of(number).report)
        return trial

    def _take_rows(self, trial: _Trial, row: dict[str, float] | None = None) -> None:
        """Bring a trial's epochs up to date, and tell the study of new ones."""
        known = len(trial.rows)
        rows = self._run_of(trial.number).history
        if row is not None and len(rows) < row["epoch"]:
            rows = [*trial.rows, row]
        trial.rows = rows
        for one in trial.rows[known:]:
            if not trial.ended:
                self._study.report(trial.number, int(one["epoch"]), one[f"val_{self._reported}"])

    @property
    def _reported(self) -> str:
        # F1 is not known before a trial has ended.
        return "loss" if self._settings.metric == "loss" else "accuracy"

    def _scores(self, trial: _Trial) -> list[Score]:
        pairs = [epoch_score(row) for row in trial.rows]
        by_loss = self._settings.metric == "loss"
        return [(loss, accuracy) for accuracy, loss in pairs] if by_loss else pairs

    def _best(self, trial: _Trial) -> Score:
        return max(self._scores(trial), default=(-math.inf, 0.0))

    def _val_so_far(self, trial: _Trial) -> dict[str, float] | None:
        best = best_epoch(trial.rows)
        return {"accuracy": best["val_accuracy"], "loss": best["val_loss"]} if best else None

    def _run_of(self, number: int) -> Run:
        return Run(self._ground.out / _path(number))


def _path(number: int) -> str:
    return f"trials/{number:03}"
