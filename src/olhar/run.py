"""A run folder: the names of what is in it, atomic reads and writes; nothing else."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import tomli_w

from olhar.classifier import CONFIG, GOLDEN, LABELS, NEIGHBOURS, ONNX, WEIGHTS
from olhar.errors import (
    ConfigError,
    MissingFileError,
    ModelError,
    RunExistsError,
    explain_os_errors,
)
from olhar.files import csv_text, lock_folder, write_atomic
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
NEW = ".new"  # at the end of a run's name: it is to replace the run without it
_MODEL_FILES = frozenset({CONFIG, WEIGHTS, ONNX, LABELS, GOLDEN, NEIGHBOURS})
# Of a sweep's trial or winner, of the demo, and of a process that trains.
_OTHER_FILES = frozenset({"search.json", "error.txt", "sample.png", ".lock"})


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

    Where a run stands at `path`, the new one is made beside it, as `path`.new, and takes its place
    when it has ended (`take_place`): until then the old run stays whole.

    Raises:
        RunExistsError: a run is there and `overwrite` is false.
        ConfigError: something is there that olhar did not write, or another process trains there.
    """
    replaces = check_run_path(path, overwrite=overwrite)
    place = path.with_name(path.name + NEW) if replaces else path
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if replaces and place.exists():  # left by an interrupted training with --overwrite
            with hold(RunFolder(place)):
                remove_run(RunFolder(place))
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            aside.chmod(0o755)
            RunFolder(aside).write_config({"replaces": path.name, **config} if replaces else config)
            details = RunFolder(path).card_details
            if replaces and details.is_file():  # what people wrote is kept
                shutil.copyfile(details, RunFolder(aside).card_details)
            if place.is_dir():
                place.rmdir()  # it is empty; a folder of this name would stop Windows
            aside.rename(place)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return RunFolder(place)


def check_run_path(path: Path, *, overwrite: bool) -> bool:
    """Refuse a path that cannot become a run folder; True where a run stands there already.

    Raises:
        RunExistsError: it is there and `overwrite` is false.
        ConfigError: it is there and holds what olhar did not write, or is no name at all.
    """
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(_("--run {path} is not valid text", path=repr(str(path)))) from error
    if path.name in {"", ".."}:
        raise ConfigError(
            _("--run '{path}' is no name; give the folder a name, such as runs/first", path=path)
        )
    with explain_os_errors(path):
        taken = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if not taken:
        return False
    if overwrite:
        _require_replaceable(path)
        beside = path.with_name(path.name + NEW)
        if os.path.lexists(beside):
            _require_replaceable(beside)
        return True
    raise RunExistsError(
        _(
            "'{path}' exists already; choose another --run, add --overwrite, or go on with it: "
            "olhar resume {path}",
            path=path,
        )
    )


def _require_replaceable(path: Path) -> None:
    """Raise ConfigError unless `path` is a run and holds nothing else than the files of one."""
    with explain_os_errors(path):
        is_run = not path.is_symlink() and (path / "config.toml").is_file()
    if not is_run:
        raise ConfigError(
            _(
                "'{path}' is not a run folder (it has no config.toml), so it will not be replaced; "
                "choose another --run",
                path=path,
            )
        )
    try:
        config = RunFolder(path).read_config()
    except ModelError as error:
        raise ConfigError(
            _(
                "'{path}' will not be replaced, since its config.toml is no run's: {reason}; choose "
                "another --run",
                path=path,
                reason=error,
            )
        ) from error
    if not {"olhar", "data", "network"} <= config.keys():
        raise ConfigError(
            _(
                "'{path}' will not be replaced, since its config.toml is not olhar's; choose "
                "another --run",
                path=path,
            )
        )
    others = foreign_files(RunFolder(path))
    if others:
        raise ConfigError(
            _(
                "'{path}' will not be replaced: it holds {count} file(s) or folder(s) that are not "
                "the run's ({names}); move them elsewhere or choose another --run",
                path=path,
                count=len(others),
                names=", ".join([*others[:3], *(["…"] if len(others) > 3 else [])]),
            )
        )


def foreign_files(folder: RunFolder) -> list[str]:
    """What lies in a run folder and is none of a run's files: relative paths, sorted.

    Links count, whatever their name: olhar makes none.
    """
    with explain_os_errors(folder.path):
        return sorted(
            path.relative_to(folder.path).as_posix()
            for path in folder.path.rglob("*")
            if path.is_symlink() or not _is_own(folder, path.relative_to(folder.path))
        )


def _is_own(folder: RunFolder, path: Path) -> bool:
    """Whether a relative path in a run folder is one of a run's."""
    first, *rest = path.parts
    if first == "tensorboard":
        return all(name.startswith("events.out.tfevents") for name in rest)
    if first == "wandb":  # its library names what is in it
        return folder.trackers.is_file()
    own = {one.name for one in vars(folder).values() if one != folder.path} | _OTHER_FILES
    own |= {f"{Path(name).stem}.svg" for name in own if name.endswith(".png")}
    if not rest:
        return first in own or _is_aside(first, own)
    in_model = first == folder.model.name or _is_aside(first, {folder.model.name})
    return (
        in_model
        and len(rest) == 1
        and (rest[0] in _MODEL_FILES or _is_aside(rest[0], _MODEL_FILES))
    )


def _is_aside(name: str, own: Set[str]) -> bool:
    """Whether a killed process was writing one of the files or folders `own` under this name."""
    stem, _dot, number = name.removeprefix(".").partition(".")
    return name.startswith(".") and bool(number) and stem in {Path(one).stem for one in own}


def remove_run(folder: RunFolder) -> bool:
    """Remove the files of a run, and nothing else; False where something else keeps the folder."""
    kept = set(foreign_files(folder))
    with explain_os_errors(folder.path):
        paths = sorted(folder.path.rglob("*"), key=lambda path: -len(path.parts))
        for path in paths:
            if path.relative_to(folder.path).as_posix() in kept:
                continue
            if path.is_dir():
                with contextlib.suppress(OSError):  # not empty: it holds what is not the run's
                    path.rmdir()
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.path.rmdir()
    return not folder.path.exists()


def take_place(folder: RunFolder) -> RunFolder:
    """Let a run that has ended take the place of the one that it was made to replace, if any.

    The old run is renamed before it is removed, so that whenever a process is killed both are there.

    Raises:
        ConfigError: the old run now holds what olhar did not write; both stay.
    """
    config = folder.read_config()
    name = config.pop("replaces", None)
    if name is None or folder.path.name != f"{name}{NEW}":  # somebody has renamed it
        return folder
    target = folder.path.with_name(name)
    with explain_os_errors(target):
        if target.exists():
            _require_replaceable(target)
        folder.write_config(config)
        if target.exists():
            old = RunFolder(free_run_path(f"{name}.old", target.parent))
            target.rename(old.path)
            folder.path.rename(target)
            remove_run(old)
        else:
            folder.path.rename(target)
    return RunFolder(target)


def hold(folder: RunFolder) -> AbstractContextManager[None]:
    """Hold a run for this process, so that no other trains it at the same time.

    Raises:
        ConfigError: another process holds it; its number is said.
    """
    return lock_folder(
        folder.path,
        lambda pid: _(
            "run '{path}' is in use: process {pid} trains it; wait until it has ended, or stop it",
            path=folder.path,
            pid=pid,
        ),
    )


def free_run_path(stem: str, folder: Path = Path("runs")) -> Path:
    """The first of `runs/stem`, `runs/stem-2`, `runs/stem-3`… that does not exist."""
    candidate, number = folder / stem, 1
    with explain_os_errors(folder):
        while candidate.exists():
            number += 1
            candidate = folder / f"{stem}-{number}"
    return candidate
