"""A run folder: the names of what is in it, atomic reads and writes; nothing else."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from olhar.errors import (
    ConfigError,
    MissingFileError,
    ModelError,
    RunExistsError,
    explain_os_errors,
)
from olhar.files import csv_text, write_atomic
from olhar.i18n import _

HISTORY_COLUMNS = (
    "epoch",
    "step",
    "lr",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "seconds",
)
FORMAT = 1


class RunFolder:
    """Paths and files of one run.

    config.toml, history.csv, metrics.json, predictions.csv, checkpoint.safetensors, model/, and the
    plots; each is written aside and renamed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config = self.path / "config.toml"
        self.history = self.path / "history.csv"
        self.metrics = self.path / "metrics.json"
        self.predictions = self.path / "predictions.csv"
        self.checkpoint = self.path / "checkpoint.safetensors"
        self.model = self.path / "model"
        self.learning_curve = self.path / "learning_curve.png"
        self.confusion_matrix = self.path / "confusion_matrix.png"
        self.samples = self.path / "samples.png"
        self.worst_errors = self.path / "worst_errors.png"
        self.per_class = self.path / "per_class.png"
        self.reliability = self.path / "reliability.png"
        self.augmentation = self.path / "augmentation.png"
        self.card = self.path / "README.md"
        self.card_pt_br = self.path / "README.pt-BR.md"
        self.card_details = self.path / "card.toml"
        self.trackers = self.path / "trackers.json"
        self.head = self.path / "head.csv"

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    def remove_asides(self) -> None:
        """Remove what a killed process was writing aside, and nothing else."""
        with explain_os_errors(self.path):
            for path in vars(self).values():
                for suffix in {path.suffix, ".svg"}:
                    for aside in self.path.glob(f".{path.stem}.[0-9]*{suffix}"):
                        aside.unlink(missing_ok=True)
            for aside in self.path.glob(f".{self.model.name}.????????"):
                shutil.rmtree(aside, ignore_errors=True)

    def read_config(self) -> dict[str, Any]:
        """The content of config.toml.

        Raises:
            MissingFileError: this is no run folder.
            ModelError: config.toml is damaged or made by a newer olhar.
        """
        with explain_os_errors(self.config):
            found = self.config.is_file()
        if not found:
            raise MissingFileError(
                _("'{path}' is no run folder: it has no config.toml", path=self.path)
            )
        with explain_os_errors(self.config):
            content = self.config.read_bytes()
        try:
            values = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ModelError(
                _("'{path}' is damaged: {reason}", path=self.config, reason=error)
            ) from error
        if values.get("format") != FORMAT:
            raise ModelError(
                _(
                    "'{path}' has format {version}; this olhar reads format {known}: update olhar",
                    path=self.config,
                    version=values.get("format"),
                    known=FORMAT,
                )
            )
        return values

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Write config.toml."""
        write_atomic(self.config, tomli_w.dumps({"format": FORMAT, **values}))

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write history.csv, a row an epoch."""
        cells = [[row[name] for name in HISTORY_COLUMNS] for row in rows]
        write_atomic(self.history, csv_text([HISTORY_COLUMNS, *cells]))

    def read_history(self) -> list[dict[str, float]]:
        """The rows of history.csv; none where no epoch has ended."""
        if not self.history.is_file():
            return []
        with explain_os_errors(self.history):
            text = self.history.read_text(encoding="utf-8")
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(io.StringIO(text))
        ]

    def write_metrics(self, values: Mapping[str, Any]) -> None:
        """Write metrics.json."""
        write_atomic(self.metrics, json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    def read_metrics(self) -> dict[str, Any]:
        """The content of metrics.json.

        Raises:
            MissingFileError: the run has not been evaluated.
            ModelError: it is damaged.
        """
        with explain_os_errors(self.metrics):
            content = self.metrics.read_bytes()
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError) as error:
            raise ModelError(
                _("'{path}' is damaged: {reason}", path=self.metrics, reason=error)
            ) from error

    def write_head(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write head.csv, how the last layer on a backbone was chosen; the first row is its header."""
        write_atomic(self.head, csv_text(rows))

    def write_predictions(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write predictions.csv; the first row is its header."""
        write_atomic(self.predictions, csv_text(rows))


def create_run(path: Path, config: Mapping[str, Any], *, overwrite: bool = False) -> RunFolder:
    """Make a run folder with its config.toml, in one step.

    Raises:
        RunExistsError: it is there and `overwrite` is false.
        ConfigError: it is there and is something else than a run.
    """
    taken = check_run_path(path, overwrite=overwrite)
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            aside.chmod(0o755)
            RunFolder(aside).write_config(config)
            details = RunFolder(path).card_details
            if taken and details.is_file():  # what people wrote is kept
                shutil.copyfile(details, RunFolder(aside).card_details)
            if taken:
                grave = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
                path.rename(grave / "removed")
                shutil.rmtree(grave)
            elif path.is_dir():
                path.rmdir()
            aside.rename(path)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return RunFolder(path)


def check_run_path(path: Path, *, overwrite: bool) -> bool:
    """Refuse a path that cannot become a run folder; True where a run stands there already.

    Raises:
        RunExistsError: it is there and `overwrite` is false.
        ConfigError: it is there and is something else than a run, or is no name at all.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(_("--run {path} is not valid text", path=repr(str(path)))) from error
    with explain_os_errors(path):
        taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
        is_run = (path / "config.toml").is_file()
    if not path.name or (taken and overwrite and not is_run):
        raise ConfigError(
            _(
                "'{path}' is not a run folder (it has no config.toml), so it will not be replaced; "
                "choose another --run",
                path=path,
            )
        )
    if taken and not overwrite:
        raise RunExistsError(
            _(
                "'{path}' exists already; choose another --run, add --overwrite, or go on with it: "
                "olhar resume {path}",
                path=path,
            )
        )
    return taken


def free_run_path(stem: str, folder: Path = Path("runs")) -> Path:
    """The first of `runs/stem`, `runs/stem-2`, `runs/stem-3`… that does not exist."""
    candidate, number = folder / stem, 1
    with explain_os_errors(folder):
        while candidate.exists():
            number += 1
            candidate = folder / f"{stem}-{number}"
    return candidate
