"""What a sweep leaves in OUT beside its runs: trials.csv, importance.json, the plot, best.toml.

Does not know: how a trial is trained or chosen. Every figure of a trial is of its validation split.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from olhar.card.search import tell
from olhar.errors import ModelError, explain_os_errors
from olhar.files import csv_text, write_atomic
from olhar.i18n import Text, _
from olhar.run import RunFolder
from olhar.shown import hide_secrets
from olhar.sweep.records import Best, SweepResult, TrialRecord
from olhar.sweep.settings import SweepSettings
from olhar.training.recipe import read_settings

TRIALS, IMPORTANCE, BEST_RECIPE = "trials.csv", "importance.json", "best.toml"
PARALLEL_COORDINATES = "parallel_coordinates"
FEWEST_TRIALS = 4  # for importance; below it any split of them explains all
_FORMAT = 1
_FIGURES = ("accuracy", "f1", "loss")


@dataclass(frozen=True)
class Importance:
    """How much of the metric's variance each parameter explains.

    fANOVA: Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter
    importance", ICML 2014. Trials that were stopped early count with their figure so far.

    Attributes:
        metric: accuracy, f1 or loss, of the validation split.
        trials: how many it was computed from.
        stopped: how many of them were stopped early.
        parameters: share of the variance by name, largest first, sum 1; empty where it cannot be
            told.
        reason: why it cannot be told; empty where it can.
    """

    metric: str
    trials: int
    stopped: int
    parameters: dict[str, float]
    reason: Text | str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for importance.json."""
        method = "fANOVA (Hutter et al. 2014)"
        return {"format": _FORMAT, "method": method, **asdict(self), "reason": str(self.reason)}


def write_results(settings: SweepSettings, result: SweepResult) -> Importance:
    """Write all that describes a sweep that has ended; what is there is replaced.

    Args:
        settings: what was searched.
        result: its trials and its winner; the files go into `result.out`.

    Raises:
        StorageError, NoPermissionError: they cannot be written.
    """
    from olhar.evaluation.style import save_figure
    from olhar.sweep.plots import plot_parallel_coordinates

    out = result.out
    importance = compute_importance(settings, result.trials)
    write_trials(out / TRIALS, settings, result.trials)
    _write_json(out / IMPORTANCE, importance.to_dict())
    best = result.best.number if result.best else None
    figure = plot_parallel_coordinates(settings, result.trials, best, out.name)
    for suffix in (".png", ".svg"):
        save_figure(figure, (out / PARALLEL_COORDINATES).with_suffix(suffix))
    if result.best:
        write_best_recipe(out / BEST_RECIPE, settings, result.best)
    return importance


def write_trials(path: Path, settings: SweepSettings, trials: Sequence[TrialRecord]) -> None:
    """Write trials.csv, a row a trial; `params.NAME` columns hold what was searched."""
    names = list(settings.space)
    head = ["number", "state", "epochs", *(f"val_{key}" for key in _FIGURES), "seconds"]
    rows = [[*head, *(f"params.{name}" for name in names), "reason", "run"]]
    for one in trials:
        val = one.val or {}
        figures = [val.get(key, "") for key in _FIGURES]
        params = [one.params.get(name, "") for name in names]
        cells = [one.number, one.state, one.epoch, *figures, round(one.seconds, 3), *params]
        rows.append([*map(str, cells), str(one.reason), one.folder])
    write_atomic(path, csv_text(rows))


def compute_importance(settings: SweepSettings, trials: Sequence[TrialRecord]) -> Importance:
    """Which parameters made the difference among trials that were trained, stopped ones included.

    Args:
        settings: what was searched, and the metric.
        trials: those without a finite figure of the metric are left out.
    """
    usable = [
        one for one in trials if one.state in {"complete", "stopped"} and _finite(settings, one)
    ]
    values = [_metric(settings, one) for one in usable]
    stopped = sum(one.state == "stopped" for one in usable)
    varied = [name for name in settings.space if len({str(one.params[name]) for one in usable}) > 1]
    shares: dict[str, float] = {}
    reason: Text | str = ""
    if len(usable) < FEWEST_TRIALS:
        reason = _(
            "{n} trials with a figure are too few to tell importance; it takes {fewest}",
            n=len(usable),
            fewest=FEWEST_TRIALS,
        )
    elif not varied or max(values) == min(values):
        reason = _("all trials came to the same figure, so no parameter made a difference")
    else:
        shares = _fanova(settings, usable, varied)
    return Importance(settings.metric, len(usable), stopped, shares, reason)


def _fanova(
    settings: SweepSettings, trials: Sequence[TrialRecord], names: Sequence[str]
) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=settings.direction)
    distributions = {name: settings.space[name].to_optuna() for name in names}
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: one.params[name] for name in names},
                distributions=distributions,
                value=_metric(settings, one),
            )
            for one in trials
        ]
    )
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=settings.seed))
    return {name: round(float(share), 4) for name, share in shares.items()}


def _metric(settings: SweepSettings, one: TrialRecord) -> float:
    return float((one.val or {}).get(settings.metric, math.nan))


def _finite(settings: SweepSettings, one: TrialRecord) -> bool:
    return math.isfinite(_metric(settings, one)) and all(
        key in one.params for key in settings.space
    )


def write_best_recipe(path: Path, settings: SweepSettings, best: Best) -> None:
    """Write the winner's settings as a recipe that `olhar train --recipe` takes.

    All of its settings are in it, so that it does not depend on the recipe kept for the network;
    its `[about]` tells where it comes from.

    Raises:
        MissingFileError, ModelError: the winner's run folder is not there or damaged.
    """
    folder = RunFolder(best.run)
    config = folder.read_config()
    try:
        network, recipe = config["network"], read_settings(config)[0].to_dict()
        values = {"network": network["name"], **recipe, **network["settings"]}
    except (KeyError, TypeError) as error:
        raise ModelError(
            _("'{path}' is damaged: {reason}", path=folder.config, reason=repr(error))
        ) from error
    about = {
        "source": f"olhar sweep, trial {best.number}",
        "data": hide_secrets(settings.data.name),
        "searched": {name: str(one) for name, one in settings.space.items()},
        "val": best.val,
        "test": best.test,
    }
    write_atomic(path, tomli_w.dumps({**values, "about": about}))


def as_dict(result: SweepResult) -> dict[str, Any]:
    """As `olhar sweep --json` prints it; paths are as they were given.

    Raises:
        ModelError: importance.json is damaged.
    """
    out, importance = result.out, read_importance(result.out)
    return {
        "sweep": str(out),
        "trials": [
            {
                "number": one.number,
                "params": one.params,
                "state": one.state,
                "epochs": one.epoch,
                "val": _numbers(one.val),
                "seconds": round(one.seconds, 3),
                "reason": str(one.reason),
                "run": str(out / one.folder) if one.folder else None,
            }
            for one in result.trials
        ],
        "best": _best_dict(result.best),
        "chosen_because": chosen_because(result),
        "importance": importance.parameters if importance else {},
        "seconds": round(result.seconds, 3),
    }


def chosen_because(result: SweepResult) -> str:
    """How the winner was chosen, as its card tells it."""
    if result.best is None:
        return str(_("no trial was trained to its end, so there is no winner"))
    return str(tell(result.best.decision))


def _best_dict(best: Best | None) -> dict[str, Any] | None:
    if best is None:
        return None
    return {
        "number": best.number,
        "params": best.params,
        "run": str(best.run),
        "val": _numbers(best.val),
        "test": _numbers(best.test),
    }


def _numbers(figures: dict[str, float] | None) -> dict[str, float | None] | None:
    """Figures as JSON can hold them: a loss that came to NaN is null."""
    if figures is None:
        return None
    return {key: value if math.isfinite(value) else None for key, value in figures.items()}


def read_importance(out: Path) -> Importance | None:
    """The content of importance.json; None where it is not there.

    Raises:
        ModelError: it is damaged.
    """
    path = out / IMPORTANCE
    with explain_os_errors(path):
        if not path.is_file():
            return None
        content = path.read_bytes()
    try:
        values = json.loads(content)
        return Importance(
            metric=str(values["metric"]),
            trials=int(values["trials"]),
            stopped=int(values["stopped"]),
            parameters={str(name): float(one) for name, one in values["parameters"].items()},
            reason=str(values["reason"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(_("'{path}' is damaged: {reason}", path=path, reason=error)) from error


def _write_json(path: Path, values: Any) -> None:
    write_atomic(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
