"""A run folder: the names of what is in it, atomic reads and writes."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import tomli_w

from olhar.errors import (
    MissingFileError,
    ModelError,
    OlharError,
    explain_os_errors,
)
from olhar.files import csv_text, decode_text, write_atomic
from olhar.i18n import _
from olhar.run.answers import Answer, parse_answers
from olhar.run.exports import ExportRecord
from olhar.run.history import Row, history_text, parse_history
from olhar.run.search import SearchRecord

FORMAT = 1
_DAMAGE = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(OverflowError, RecursionError, csv.Error),
)


class RunFolder:
    """Paths and files of one run; each file is written aside and renamed.

    What reads a file raises MissingFileError where it is not there, and ModelError, naming it, where
    it is damaged.
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
        self.learning_curve_photos = self.path / "learning_curve_photos.png"
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
        self.search = self.path / "search.json"
        self.exports = self.path / "exports.json"

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
        if not is_file(self.config):
            raise MissingFileError(
                _("'{path}' is no run folder: it has no config.toml", path=self.path)
            )
        with damaged(self.config):
            values = tomllib.loads(decode_text(_content(self.config)))
        if "format" not in values:
            raise damage(self.config, _("it says no format, so olhar did not write it to its end"))
        if values["format"] != FORMAT:
            raise ModelError(
                _(
                    "'{path}' has format {version}; this olhar reads format {known}: update olhar",
                    path=self.config,
                    version=values["format"],
                    known=FORMAT,
                )
            )
        return values

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Write config.toml."""
        write_atomic(self.config, tomli_w.dumps({"format": FORMAT, **values}))

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write history.csv, a row an epoch."""
        write_atomic(self.history, history_text(rows))

    def read_history(self, *, whole_lines: bool = False) -> list[Row]:
        """The rows of history.csv; none where no epoch has ended.

        Args:
            whole_lines: leave out a last line that is still being written.
        """
        if not is_file(self.history):
            return []
        with damaged(self.history):
            text = _content(self.history).decode()
            rows = parse_history(text[: text.rfind("\n") + 1] if whole_lines else text)
        if any(after["epoch"] <= before["epoch"] for before, after in pairwise(rows)):
            raise damage(self.history, _("its epochs are not in order"))
        return rows

    def write_metrics(self, values: Mapping[str, Any]) -> None:
        """Write metrics.json."""
        _write_json(self.metrics, values)

    def read_metrics(self) -> dict[str, Any]:
        """The content of metrics.json, which an evaluated run has."""
        with damaged(self.metrics):
            return {**json.loads(_content(self.metrics))}

    def write_search(self, record: SearchRecord) -> None:
        """Write search.json."""
        _write_json(self.search, record.to_dict())

    def read_search(self) -> SearchRecord:
        """The content of search.json, which the winner of a sweep has."""
        with damaged(self.search):
            return SearchRecord.from_dict(json.loads(_content(self.search)))

    def write_exports(self, records: Sequence[ExportRecord]) -> None:
        """Write exports.json."""
        _write_json(self.exports, {"exports": [record.to_dict() for record in records]})

    def read_exports(self) -> tuple[ExportRecord, ...]:
        """The content of exports.json, which a run has whose model was exported for a board."""
        with damaged(self.exports):
            listed = json.loads(_content(self.exports))["exports"]
            return tuple(ExportRecord.from_dict(one) for one in listed)

    def write_trackers(self, memory: Mapping[str, Mapping[str, Any]]) -> None:
        """Write trackers.json: by tracker, what it remembers of this run."""
        _write_json(self.trackers, {"format": FORMAT, "trackers": memory})

    def read_trackers(self) -> dict[str, dict[str, Any]]:
        """What `write_trackers` wrote; nothing where there is none."""
        if not is_file(self.trackers):
            return {}
        with damaged(self.trackers, may_go=True):
            record = json.loads(_content(self.trackers))["trackers"]
            return {str(name): dict(memory) for name, memory in record.items()}

    def write_head(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write head.csv, how the last layer on a backbone was chosen; the first row is its header."""
        write_atomic(self.head, csv_text(rows))

    def read_head(self) -> list[dict[str, float]]:
        """The rows of head.csv; none where there is none."""
        if not is_file(self.head):
            return []
        with damaged(self.head):
            rows = csv.DictReader(_content(self.head).decode().splitlines())
            return [{name: float(value) for name, value in row.items()} for row in rows]

    def write_predictions(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write predictions.csv; the first row is its header."""
        write_atomic(self.predictions, csv_text(rows))

    def read_predictions(self) -> list[Answer]:
        """The rows of predictions.csv, in its order."""
        with damaged(self.predictions):
            return parse_answers(_content(self.predictions).decode())


def is_file(path: Path) -> bool:
    """Whether a file is there; NoPermissionError where that may not be known."""
    with explain_os_errors(path):
        return path.is_file()


@contextmanager
def damaged(path: Path, *, may_go: bool = False) -> Iterator[None]:
    """A value that is missing or of a wrong type becomes a ModelError that names the file.

    Args:
        path: of the file.
        may_go: whether it may be removed without a loss.
    """
    try:
        yield
    except OlharError:
        raise
    except _DAMAGE as error:
        reason = repr(error) if isinstance(error, LookupError) else error
        if may_go:
            raise ModelError(
                _("'{path}' is damaged: {reason}; remove it", path=path, reason=reason)
            ) from error
        raise damage(path, reason) from error


def damage(path: Path, reason: object) -> ModelError:
    """The error of a file that cannot be believed."""
    return ModelError(_("'{path}' is damaged: {reason}", path=path, reason=reason))


def _content(path: Path) -> bytes:
    with explain_os_errors(path):
        return path.read_bytes()


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_atomic(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
