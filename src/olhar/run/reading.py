"""A run as its folder tells it, strictly or leniently.

Does not know: how a run is made, other runs, or how any of it is shown.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from olhar import i18n
from olhar.errors import MissingFileError, OlharError, explain_os_errors
from olhar.files import sha256_file
from olhar.i18n import Text, _
from olhar.networks.specs import NetworkSpec, count_parameters, is_published, resolve_network
from olhar.run.answers import Answer
from olhar.run.estimates import CrossValidation, PhotoCurve
from olhar.run.exports import ExportRecord
from olhar.run.folder import RunFolder, damage, damaged, is_file
from olhar.run.history import Row, best_epoch
from olhar.run.report import Report, short_name
from olhar.run.search import SearchRecord
from olhar.shown import quoted

if TYPE_CHECKING:
    from olhar.classifier import Classifier, ModelConfig

_MOST_BYTES = 64 * 2**20  # of one file; a confusion matrix of 1,000 classes takes 10 MB
T = TypeVar("T")


class Run:
    """A run: its settings, its epochs, what was measured, its classifier.

    Each file is read when it is first asked for, and once. What is not there is None or empty; what
    is damaged raises ModelError, which names the file. Read leniently, what is damaged is None or
    empty too, and `problem` says why; links that lead out of the folder are then not followed, and
    files that would fill the memory not read.
    """

    def __init__(self, path: Path | str, *, lenient: bool = False) -> None:
        """Name the run; nothing is read yet.

        Args:
            path: the run folder.
            lenient: whether what is damaged counts as missing.
        """
        self.folder = RunFolder(path)
        self._lenient = lenient
        self._problems: dict[Path, Text | str] = {}

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The tables of config.toml; MissingFileError where this is no run folder."""
        return self._take(self.folder.config, self.folder.read_config, {}, needed=True)

    @cached_property
    def network(self) -> NetworkSpec:
        """The network that was trained; ModelError where config.toml does not say it."""
        with damaged(self.folder.config):
            return NetworkSpec(**self.config["network"])

    @property
    def parameters(self) -> int | None:
        """How many parameters the network has; None where this olhar does not know the network."""
        return self._counts[0] if self._counts else None

    @property
    def trainable_parameters(self) -> int | None:
        """How many of them are trained; None where this olhar does not know the network."""
        return self._counts[1] if self._counts else None

    @cached_property
    def _counts(self) -> tuple[int, int] | None:
        try:
            spec = self.network
            if not is_published(spec.name):
                name, settings, _typed = resolve_network(spec.name, spec.settings)
                spec = dataclasses.replace(spec, name=name, settings=settings)
            return count_parameters(spec)
        except (OlharError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
            return None  # made by another olhar, or by hand

    @cached_property
    def history(self) -> list[Row]:
        """A row for each epoch that has ended: see `HISTORY_COLUMNS`."""
        path = self.folder.history
        return self._take(path, lambda: self.folder.read_history(whole_lines=self._lenient), [])

    @property
    def best(self) -> Row | None:
        """The row of the epoch whose weights are kept; None before the first has ended."""
        return best_epoch(self.history)

    @property
    def seconds(self) -> float:
        """How long its epochs took together."""
        return sum(row["seconds"] for row in self.history)

    @cached_property
    def measured(self) -> Report | None:
        """What was measured last; None where the run has not ended."""
        return self._take(self.folder.metrics, self._read_report, None)

    def _read_report(self) -> Report:
        with damaged(self.folder.metrics):
            report = Report.from_dict(self.folder.read_metrics())
            if not {"name", "fingerprint"} <= report.data.keys():
                raise ValueError("data")
        if self._lenient and not report.fits():
            raise damage(self.folder.metrics, _("its figures do not fit each other"))
        return report

    @property
    def report(self) -> Report:
        """What was measured last; MissingFileError where the run has not ended."""
        if self.measured is None:
            raise MissingFileError(not_ended(self.path))
        return self.measured

    @cached_property
    def energy(self) -> dict[str, Any]:
        """kwh, co2_kg (floats), country, method (text); empty where it was not measured."""
        found: dict[str, Any] = self._take(self.folder.metrics, self.folder.read_metrics, {})
        with damaged(self.folder.metrics):
            values = found.get("energy") or self.config.get("energy")
            if not values:
                return {}
            text = {key: str(values.get(key, "")) for key in ("country", "method")}
            return {**{key: float(values[key]) for key in ("kwh", "co2_kg")}, **text}

    @cached_property
    def cross_validation(self) -> CrossValidation | None:
        """What `folds` measured; None where it was not asked for."""
        return self._estimate("cross_validation", CrossValidation.from_dict)

    @cached_property
    def photo_curve(self) -> PhotoCurve | None:
        """How accuracy grows with photos; None where it was not measured."""
        return self._estimate("learning_curve", PhotoCurve.from_dict)

    def _estimate(self, key: str, build: Callable[[Any], T]) -> T | None:
        def read() -> T | None:
            with damaged(self.folder.metrics):
                record = self.folder.read_metrics().get(key)
                return build(record) if record else None

        return self._take(self.folder.metrics, read, None)

    @property
    def estimates(self) -> list[Text]:
        """What was estimated on photos that the last layer had not seen, in words."""
        curve = self.photo_curve
        found = [self.cross_validation.sentence()] if self.cross_validation else []
        if curve is not None:
            found.append(curve.sentence())
            if curve.weakest:
                found.append(curve.advice(short_name(self._shown(curve.weakest.name), 30)))
        return found

    def _shown(self, name: str) -> str:
        """A class in the language in force."""
        names = self.measured.class_names if self.measured else []
        return self.class_names[names.index(name)] if name in names else name

    @cached_property
    def answers(self) -> list[Answer]:
        """What the model said of each image that it was measured on; empty where it was not."""
        return self._take(self.folder.predictions, self.folder.read_predictions, [])

    @cached_property
    def search(self) -> SearchRecord | None:
        """How a sweep came to this run; None where it is no winner of one."""
        return self._take(self.folder.search, self.folder.read_search, None)

    @cached_property
    def exports(self) -> tuple[ExportRecord, ...]:
        """What exports for a board of the model that is there cost and reach."""
        kept: tuple[ExportRecord, ...] = ()
        kept = self._take(self.folder.exports, self.folder.read_exports, kept)
        return tuple(one for one in kept if one.model == self._model_digest)

    @cached_property
    def _model_digest(self) -> str:
        from olhar.classifier import CONFIG

        path = self.folder.model / CONFIG
        return sha256_file(path) if is_file(path) else ""

    @cached_property
    def model(self) -> ModelConfig | None:
        """What model/config.json says; None where training has not ended."""
        from olhar.classifier import CONFIG

        path = self.folder.model / CONFIG
        return self._take(path, lambda: self._read_model(path), None)

    def _read_model(self, path: Path) -> ModelConfig:
        from olhar.classifier import ModelConfig

        with explain_os_errors(path):
            content = path.read_bytes()
        with damaged(path):
            model = ModelConfig.from_dict(json.loads(content))
            lengths = {len(model.class_names), *map(len, model.translated_names.values())}
            if self.measured:
                lengths.add(len(self.measured.class_names))
            if len(lengths) > 1:
                raise ValueError("class_names")
        return model

    @property
    def class_names(self) -> tuple[str, ...]:
        """In index order, in the language in force; empty where no file of the run has them yet."""
        if self.model:
            return self.model.translated_names.get(i18n.language(), self.model.class_names)
        return tuple(self.measured.class_names) if self.measured else ()

    @property
    def classifier(self) -> Classifier:
        """The trained classifier, loaded from the run folder."""
        from olhar.classifier import load_classifier

        return load_classifier(self.path)

    @property
    def problem(self) -> Text | str | None:
        """Why config.toml, history.csv or metrics.json cannot be believed; None where they can."""
        _read = self.config, self.history, self.measured
        files = (self.folder.config, self.folder.history, self.folder.metrics)
        return next((self._problems[path] for path in files if path in self._problems), None)

    def to_dict(self) -> dict[str, Any]:
        """As `olhar train --json` prints it."""
        best, folds, curve = self.best, self.cross_validation, self.photo_curve
        return {
            "run": str(self.path),
            **self.report.to_dict(),
            "epochs": len(self.history),
            "best_epoch": int(best["epoch"]) if best else None,
            "val_accuracy": best["val_accuracy"] if best else None,
            "seconds": round(self.seconds, 3),
            **({"cross_validation": folds.to_dict()} if folds else {}),
            **({"learning_curve": curve.to_dict()} if curve else {}),
        }

    def _repr_html_(self) -> str:
        pictures = (self.folder.learning_curve, self.folder.confusion_matrix, self.folder.samples)
        shown = "".join(
            '<img alt="" style="max-width:48em;width:100%" src="data:image/png;base64,'
            f'{base64.b64encode(path.read_bytes()).decode()}">'
            for path in pictures
            if path.is_file()
        )
        return self.report._repr_html_() + shown

    def _take(self, path: Path, read: Callable[[], T], otherwise: T, *, needed: bool = False) -> T:
        """What `read` gives; `otherwise` where the file is missing or, leniently, damaged."""
        try:
            if needed or (is_own_file(path) if self._lenient else is_file(path)):
                if self._lenient:
                    _check_size(path)
                return read()
        except OlharError as error:
            gone = isinstance(error, MissingFileError) and not needed  # since it was looked for
            if not (gone or self._lenient):
                raise
            if not gone:
                self._problems[path] = error.message
        return otherwise


def load_run(path: Path | str) -> Run:
    """A run that has ended, from its folder.

    Raises:
        MissingFileError: no run there, or one that has not been measured.
        ModelError: it is damaged.
    """
    run = Run(path)
    _read = run.config, run.report
    return run


def not_ended(path: Path) -> Text:
    """What is said of a run that lacks what was asked for, since it was cut off."""
    return _(
        "run '{path}' has not ended: it has not been measured. Go on with: olhar resume {run}",
        path=path,
        run=quoted(path),
    )


def is_own_file(path: Path) -> bool:
    """Whether it is a real file of the run: no pipe, no link to somewhere else."""
    try:
        return path.is_file() and path.resolve().parent == path.parent.resolve()
    except (OSError, RuntimeError):
        return False


def _check_size(path: Path) -> None:
    """Raise ModelError for a file that leads elsewhere, or that would fill the memory."""
    if path.is_symlink() and not is_own_file(path):
        raise damage(path, _("it is a link that leads elsewhere"))
    with explain_os_errors(path):
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise damage(path, _("it is larger than {size} MB", size=_MOST_BYTES >> 20))
