"""What is told to every tracker: settings as flat pairs, figures of an epoch, results of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.run import Run
from olhar.training.trackers.quiet import hide_secrets

FIGURES = ("lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
_SCORES = ("accuracy", "precision", "recall", "f1", "loss", "ece", "n")

Setting = bool | int | float | str


@dataclass(frozen=True)
class Results:
    """The end of a run.

    Attributes:
        metrics: numbers by the names that teams know, see `final_metrics`.
        confusion_matrix: K rows (true class) of K counts (predicted class).
        class_names: K names in index order.
        epochs: how many were trained; the step at which `metrics` are logged.
        files: figures.png and metrics.json by their names; those that exist.
        model_folder: the classifier.
    """

    metrics: Mapping[str, float]
    confusion_matrix: list[list[int]]
    class_names: list[str]
    epochs: int
    files: Mapping[str, Path]
    model_folder: Path

    def confusion_table(self) -> dict[str, Any]:
        """The confusion matrix with its class names, for confusion_matrix.json."""
        return {"class_names": self.class_names, "confusion_matrix": self.confusion_matrix}


def build_results(run: Run) -> Results:
    """The results of a finished run.

    Only the learning curve, the confusion matrix and metrics.json are among the files: the other
    pictures and predictions.csv show the user's photos and their names.
    """
    files = (run.folder.learning_curve, run.folder.confusion_matrix, run.folder.metrics)
    return Results(
        metrics=final_metrics(run),
        confusion_matrix=run.report.confusion_matrix,
        class_names=run.report.class_names,
        epochs=len(run.history),
        files={path.name: path for path in files if path.is_file()},
        model_folder=run.folder.model,
    )


def final_metrics(run: Run) -> dict[str, float]:
    """The last numbers of a run: those of metrics.json, of the best epoch, and `Count_Params`."""
    found: dict[str, float] = {name: getattr(run.report, name) for name in _SCORES}
    found |= {f"weighted_{name}": value for name, value in run.report.weighted.items()}
    best = run.best
    if best is not None:
        found |= {"best_epoch": int(best["epoch"]), "best_val_loss": best["val_loss"]}
        found["best_val_accuracy"] = best["val_accuracy"]
    if run.parameters is not None:
        found["Count_Params"] = run.parameters
    return found


def flat_settings(config: Mapping[str, Any], prefix: str = "") -> dict[str, Setting]:
    """config.toml as pairs: `recipe.lr`, `data.sizes.train`…; lists become JSON.

    Logins in addresses are left out, and so are the names of photos that were set aside.
    """
    pairs: dict[str, Setting] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if name == "data.set_aside.files":
            continue
        if isinstance(value, Mapping):
            pairs |= flat_settings(value, f"{name}.")
        elif isinstance(value, bool | int | float):
            pairs[name] = value
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            pairs[name] = hide_secrets(text)
    return pairs


def figures(row: Mapping[str, float]) -> dict[str, float]:
    """The figures of an epoch that are logged."""
    return {name: row[name] for name in FIGURES if name in row}
