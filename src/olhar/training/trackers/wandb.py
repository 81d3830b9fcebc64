"""Weights & Biases: online, offline or disabled, as WANDB_MODE says; files in RUN/wandb/."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any

from olhar.i18n import Text, _
from olhar.training.trackers.quiet import describe_failure, environment_defaults
from olhar.training.trackers.results import Results, Setting, figures

# The waits are for a run that nobody watches; the user's own settings go before them.
_DEFAULTS = {
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_INIT_TIMEOUT": "5",
    "WANDB_FINISH_TIMEOUT": "60",
    "WANDB_FINISH_TIMEOUT_RAISES": "true",
}


class WandbTracker:
    """A run of the project WANDB_PROJECT, by default `olhar`."""

    title = "Weights & Biases"

    def __init__(self) -> None:
        self._run: Any = None
        self._folder = Path()

    def start(self, settings: Mapping[str, Setting], run: Path, memory: dict[str, Any]) -> Text:
        """Begin a run or go on with it; where W&B cannot be reached, offline."""
        self._folder = run.resolve()  # paths are kept for a later wandb sync from anywhere
        with self._environment():
            try:
                self._run = self._init(settings, memory)
            except Exception as error:  # noqa: BLE001 - whatever it is, offline may do
                self._run = self._init(settings, memory, mode="offline")
                memory["id"] = self._run.id
                return _(
                    "Weights & Biases cannot be reached, so the run is recorded offline "
                    "({reason}); later: wandb login, then wandb sync {folder}",
                    reason=describe_failure(error),
                    folder=self._recorded(),
                )
        memory["id"] = self._run.id
        if self._run.disabled:
            return _("Weights & Biases is disabled by WANDB_MODE: nothing is recorded")
        if self._run.offline:
            return _(
                "Weights & Biases: recorded offline; later: wandb sync {folder}",
                folder=self._recorded(),
            )
        return _("Weights & Biases: {url}", url=self._run.url)

    def epoch(self, row: Mapping[str, float]) -> None:
        """Log the figures of an epoch; the step is the epoch."""
        epoch = int(row["epoch"])
        self._run.log({"epoch": epoch, **figures(row)}, step=epoch, commit=True)

    def finish(self, results: Results) -> None:
        """Log the results as the run's summary, and the model and evaluation as artifacts."""
        with self._environment():
            wandb: Any = import_module("wandb")
            charts: dict[str, Any] = {"confusion_matrix_table": _confusion_chart(results)}
            for name, path in results.files.items():
                if path.suffix == ".png":
                    charts[Path(name).stem] = wandb.Image(str(path))
            self._run.log(charts)
            self._run.summary.update(dict(results.metrics))
            self._log_artifacts(results)
            self._run.finish()

    def stop(self) -> None:
        """Mark the run as one that was cut off."""
        if self._run is not None:
            self._run.finish(exit_code=1)

    def advice(self) -> Text:
        """What was recorded is on the disk."""
        if self._run is None:
            return _("To record without a network, set WANDB_MODE=offline")
        return _(
            "What was recorded can be sent later: wandb sync {folder}", folder=self._recorded()
        )

    def _init(
        self,
        settings: Mapping[str, Setting],
        memory: Mapping[str, Any],
        mode: str | None = None,
    ) -> Any:
        wandb: Any = import_module("wandb")
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "olhar"),
            name=os.environ.get("WANDB_NAME", self._folder.name),
            dir=str(self._folder),
            config=dict(settings),
            mode=mode,
            id=memory.get("id"),
            resume="allow" if "id" in memory else None,
            reinit="create_new",  # a run that the caller has open stays as it is
            settings=wandb.Settings(silent=True, console="off"),
        )

    def _environment(self) -> AbstractContextManager[None]:
        """W&B's waits, and its copies of what is to be sent in the run folder, not in the home."""
        staging = str(self._folder / "wandb" / "data")
        return environment_defaults({**_DEFAULTS, "WANDB_DATA_DIR": staging})

    def _recorded(self) -> Path:
        return Path(self._run.dir).parent

    def _log_artifacts(self, results: Results) -> None:
        wandb: Any = import_module("wandb")
        stem = re.sub(r"[^\w.-]", "-", str(self._run.id))
        # Immutable: the files are sent from where they are, not from a copy.
        model = wandb.Artifact(f"model-{stem}", type="model", metadata=dict(results.metrics))
        model.add_dir(str(results.model_folder.resolve()), policy="immutable", skip_cache=True)
        evaluation = wandb.Artifact(f"evaluation-{stem}", type="evaluation")
        for name, path in results.files.items():
            evaluation.add_file(str(path.resolve()), name=name, policy="immutable", skip_cache=True)
        with evaluation.new_file("confusion_matrix.json", encoding="utf-8") as file:
            file.write(json.dumps(results.confusion_table(), ensure_ascii=False))
        self._run.log_artifact(model)
        self._run.log_artifact(evaluation)


def _confusion_chart(results: Results) -> Any:
    """The chart that wandb.plot.confusion_matrix draws, from counts instead of predictions."""
    wandb: Any = import_module("wandb")
    names = results.class_names
    rows = [
        [names[true], names[predicted], count]
        for true, counts in enumerate(results.confusion_matrix)
        for predicted, count in enumerate(counts)
    ]
    columns = ["Actual", "Predicted", "nPredictions"]
    return wandb.plot_table(
        "wandb/confusion_matrix/v1",
        wandb.Table(columns=columns, data=rows),
        {name: name for name in columns},
        {"title": "confusion matrix"},
    )
