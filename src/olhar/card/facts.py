"""Everything that a card is made of, read from the run folder and checked.

After `read_facts` no value is of a wrong type, so that what renders it needs no second look.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar import i18n
from olhar.card.details import read_details
from olhar.card.search import Search, read_search
from olhar.classifier import CONFIG, ModelConfig
from olhar.errors import ModelError, OlharError, explain_os_errors
from olhar.evaluation.report import ClassScores, Report
from olhar.i18n import _
from olhar.networks.specs import NetworkSpec, count_parameters, network_source, resolve_network
from olhar.run import HISTORY_COLUMNS, RunFolder

ENERGY = ("kwh", "co2_kg")
CALIBRATION = (
    *("temperature", "ece_before", "ece_after"),
    *("threshold", "coverage", "sure_accuracy"),
)
_DAMAGE = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(OverflowError, csv.Error),
)


@dataclass(frozen=True)
class Prediction:
    """A row of predictions.csv.

    Attributes:
        item: file or index.
        label: true class, by name.
        predicted: most probable class, by name.
        probability: of `predicted`.
        true_probability: of `label`, where the file has that column.
    """

    item: str
    label: str
    predicted: str
    probability: float
    true_probability: float | None = None


@dataclass(frozen=True)
class Facts:
    """A run as its card sees it.

    Attributes:
        folder: where it is.
        config: config.toml, its tables there and of the right types.
        network: what is built; its arithmetic in `parameters`.
        network_source: where the network comes from; "" where this olhar does not know it.
        parameters: trainable ones; 0 where this olhar does not know the network.
        history: a row an epoch, every column a number.
        report: metrics.json, or None where the run has not been measured.
        energy: kwh, co2_kg (floats), country, method (text); empty where it was not measured.
        calibration: as metrics.json has it; empty where it has none.
        model: model/config.json, or None where training has not ended.
        predictions: predictions.csv in its order; empty where it is missing.
        details: card.toml.
        search: search.json, or None where the run is no winner of a sweep.
    """

    folder: RunFolder
    config: Mapping[str, Any]
    network: NetworkSpec
    network_source: object
    parameters: int
    history: list[dict[str, float]]
    report: Report | None
    energy: Mapping[str, Any]
    calibration: Mapping[str, float]
    model: ModelConfig | None
    predictions: list[Prediction]
    details: Mapping[str, str]
    search: Search | None = None

    @property
    def data_name(self) -> str:
        """The data set, or the last name of a folder of photos: the rest of a path is private."""
        return _last_name(str(self.config["data"]["name"]))

    @property
    def transfer(self) -> dict[str, str]:
        """Backbone, mode, weights (a file's name alone) and sha256; empty where it has none."""
        given = self.config["transfer"]
        names = {key: _last_name(given[key]) for key in ("backbone", "weights") if key in given}
        return {**given, **names}

    @property
    def epochs(self) -> int:
        """How many epochs the recipe asks for."""
        return int(self.config["recipe"]["epochs"])

    @property
    def best(self) -> dict[str, float] | None:
        """The row of the epoch whose weights are kept: highest val_accuracy, then lowest val_loss."""
        return max(
            self.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]), default=None
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """In index order, in the language in force; empty where no file of the run has them yet."""
        if self.model:
            return self.model.translated_names.get(i18n.language(), self.model.class_names)
        return tuple(self.report.class_names) if self.report else ()

    def shown_name(self, name: str) -> str:
        """A class name of predictions.csv in the language in force."""
        names = self.model.class_names if self.model else ()
        return self.class_names[names.index(name)] if name in names else name

    def has(self, picture: Path) -> bool:
        """Whether a picture of the run folder is there."""
        with explain_os_errors(picture):
            return picture.is_file()


def _last_name(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path


def read_facts(folder: RunFolder) -> Facts:
    """Read a run folder, finished or cut off.

    Raises:
        MissingFileError: this is no run folder.
        ModelError: a file of it is damaged or of a newer olhar.
        ConfigError, UnknownNameError: card.toml holds what it may not.
    """
    config = folder.read_config()
    with _damaged(folder.config):
        config = _typed_config(config)
        network = NetworkSpec(**config["network"])
    source, parameters = _describe_network(network)
    metrics: dict[str, Any] = {}
    with explain_os_errors(folder.metrics):
        if folder.metrics.is_file():
            metrics = folder.read_metrics()
    with _damaged(folder.metrics):
        report = _typed_report(Report.from_dict(metrics)) if metrics else None
        energy = _typed_energy(metrics.get("energy") or config.get("energy") or {})
        calibration = metrics.get("calibration") or {}
        calibration = {key: float(calibration[key]) for key in CALIBRATION if key in calibration}
    return Facts(
        folder=folder,
        config=config,
        network=network,
        network_source=source,
        parameters=parameters,
        history=_read_history(folder),
        report=report,
        energy=energy,
        calibration=calibration,
        model=_read_model(folder.model / CONFIG, report),
        predictions=_read_predictions(folder.predictions),
        details=read_details(folder),
        search=read_search(folder),
    )


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """A value that is missing or of a wrong type becomes a ModelError that names the file."""
    try:
        yield
    except OlharError:
        raise
    except _DAMAGE as error:
        raise ModelError(_("'{path}' is damaged: {reason}", path=path, reason=error)) from error


def _typed_config(config: Mapping[str, Any]) -> dict[str, Any]:
    data, network, recipe = dict(config["data"]), dict(config["network"]), dict(config["recipe"])
    data["sizes"] = {part: int(data["sizes"][part]) for part in ("train", "val", "test")}
    data["fingerprint"] = str(data["fingerprint"])
    data["set_aside"] = int(data.get("set_aside", {}).get("count", 0))
    recipe["epochs"], recipe["batch_size"] = int(recipe["epochs"]), int(recipe["batch_size"])
    for key in ("size", "channels", "num_classes"):
        network[key] = int(network[key])
    network["settings"] = dict(network["settings"])
    return {
        **config,
        "olhar": str(config["olhar"]),
        "command": str(config["command"]),
        "data": {"name": str(data.pop("name")), **data},
        "network": network,
        "preprocess": dict(config["preprocess"]),
        "transfer": _typed_transfer(config.get("transfer") or {}),
        "recipe": recipe,
        "machine": {key: str(value) for key, value in config["machine"].items()},
    }


def _typed_transfer(values: Mapping[str, Any]) -> dict[str, str]:
    if not values:
        return {}
    text = {key: str(values.get(key, "")) for key in ("weights", "sha256")}
    return {"backbone": str(values["backbone"]), "mode": str(values["mode"]), **text}


def _describe_network(spec: NetworkSpec) -> tuple[object, int]:
    """Where a network comes from and how many trainable parameters it has, ("", 0) if unknown."""
    try:
        canonical, settings, _typed = resolve_network(spec.name, spec.settings)
        known = dataclasses.replace(spec, name=canonical, settings=settings)
        return network_source(canonical), count_parameters(known)[1]
    except (OlharError, TypeError, ValueError, KeyError):  # made by another olhar or by hand
        return "", 0


def _typed_report(report: Report) -> Report:
    """The report with every number a number, and every list as long as there are classes."""
    names = [str(name) for name in report.class_names]
    confusion = [[int(count) for count in row] for row in report.confusion_matrix]
    per_class = [_typed_scores(one) for one in report.per_class]
    if {len(names), *map(len, confusion)} != {len(confusion)} or len(per_class) != len(names):
        raise ValueError("class_names, per_class and confusion_matrix differ in length")
    averages = ("precision", "recall", "f1")
    return dataclasses.replace(
        report,
        split=str(report.split),
        n=int(report.n),
        class_names=names,
        confusion_matrix=confusion,
        per_class=per_class,
        weighted={key: float(report.weighted[key]) for key in averages},
        intervals={key: _bounds(report.intervals[key]) for key in ("accuracy", *averages)},
        data={"fingerprint": str(report.data["fingerprint"]), "name": str(report.data["name"])},
        accuracy=float(report.accuracy),
        precision=float(report.precision),
        recall=float(report.recall),
        f1=float(report.f1),
        loss=float(report.loss),
        ece=float(report.ece),
    )


def _typed_scores(one: Mapping[str, Any]) -> ClassScores:
    return ClassScores(
        name=str(one["name"]),
        precision=float(one["precision"]),
        recall=float(one["recall"]),
        f1=float(one["f1"]),
        support=int(one["support"]),
        recall_interval=_bounds(one["recall_interval"]),
        precision_interval=_bounds(one["precision_interval"]),
    )


def _bounds(values: Any) -> list[float]:
    low, high = values
    return [float(low), float(high)]


def _typed_energy(values: Mapping[str, Any]) -> dict[str, Any]:
    if not values:
        return {}
    text = {key: str(values.get(key, "")) for key in ("country", "method")}
    return {**{key: float(values[key]) for key in ENERGY}, **text}


def _read_history(folder: RunFolder) -> list[dict[str, float]]:
    with _damaged(folder.history):
        history = folder.read_history()
        for row in history:
            missing = set(HISTORY_COLUMNS) - set(row)
            if missing:
                raise ValueError(", ".join(sorted(missing)))
            if not math.isfinite(row["epoch"] + row["seconds"]):
                raise ValueError(row["epoch"])
    return history


def _read_model(path: Path, report: Report | None) -> ModelConfig | None:
    with explain_os_errors(path):
        if not path.is_file():
            return None
        content = path.read_bytes()
    with _damaged(path):
        model = ModelConfig.from_dict(json.loads(content))
        known = len(model.class_names)
        lengths = {known, *map(len, model.translated_names.values())}
        if len(lengths) > 1 or (report and len(report.class_names) != known):
            raise ValueError("class_names")
    return model


def _read_predictions(path: Path) -> list[Prediction]:
    with explain_os_errors(path):
        if not path.is_file():
            return []
    with explain_os_errors(path), _damaged(path), path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        _item, *others = next(rows, [])
        true = others.index("true_probability") if "true_probability" in others else None
        columns = [others.index(name) for name in ("label", "predicted", "probability")]
        found = []
        for item, *cells in rows:
            label, predicted, probability = (cells[column] for column in columns)
            own = float(cells[true]) if true is not None else None
            found.append(Prediction(item, label, predicted, float(probability), own))
    return found
