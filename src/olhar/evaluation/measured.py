"""A run that has ended, as its folder tells it: settings, scores, and the answer to each image.

Does not know: what the runs are compared for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olhar.errors import DataError, ModelError, OlharError, explain_os_errors
from olhar.evaluation.report import Report, short_name
from olhar.i18n import _
from olhar.networks.specs import NetworkSpec, count_parameters
from olhar.run import RunFolder

_LONGEST = 48  # characters of a name in a message


@dataclass(frozen=True)
class RunScores:
    """What one run came to; `seconds` is all its epochs together, `parameters` None if unknown."""

    run: str
    network: str
    accuracy: float
    accuracy_interval: list[float]
    f1: float
    parameters: int | None
    epochs: int
    seconds: float


@dataclass(frozen=True)
class MeasuredRun:
    """A run folder, read: `answers` are (label, predicted) by item."""

    config: Mapping[str, Any]
    report: Report
    answers: Mapping[str, tuple[str, str]]
    scores: RunScores


def read_measured(path: Path) -> MeasuredRun:
    """Read a run that has ended.

    Raises:
        DataError: it has not been measured.
        MissingFileError: no run there.
        ModelError: its folder is damaged, or predictions.csv and metrics.json disagree.
    """
    folder = RunFolder(path)
    config = folder.read_config()
    with explain_os_errors(path):
        measured = folder.metrics.is_file() and folder.predictions.is_file()
    if not measured:
        raise DataError(
            _(
                "run '{path}' has not ended: it has not been measured. Go on with: "
                "olhar resume {path}",
                path=path,
            )
        )
    try:
        report = Report.from_dict(folder.read_metrics())
        answers = _read_answers(folder.predictions)
        right = sum(label == predicted for label, predicted in answers.values())
        if len(answers) != report.n or abs(right / report.n - report.accuracy) > 1e-6:
            raise ModelError(
                _(
                    "'{path}' contradicts itself: predictions.csv has {right} of {n} right,"
                    " metrics.json says {accuracy:.4%} of {stated}; one of them was changed",
                    path=path,
                    right=right,
                    n=len(answers),
                    accuracy=report.accuracy,
                    stated=report.n,
                )
            )
        history = folder.read_history()
        scores = RunScores(
            run=path.as_posix(),
            network=str(config["network"]["name"]),
            accuracy=report.accuracy,
            accuracy_interval=report.intervals["accuracy"],
            f1=report.f1,
            parameters=_parameters(config["network"]),
            epochs=len(history),
            seconds=round(sum(row["seconds"] for row in history), 3),
        )
        if not all(isinstance(report.data[key], str) for key in ("name", "fingerprint")):
            raise TypeError("data")
    except OlharError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, csv.Error) as error:
        raise ModelError(
            _("'{path}' is damaged: {reason}", path=path, reason=repr(error))
        ) from error
    return MeasuredRun(config, report, answers, scores)


def _read_answers(path: Path) -> dict[str, tuple[str, str]]:
    """(label, predicted) by file or index, from predictions.csv."""
    with explain_os_errors(path):
        content = path.read_bytes()
    _head, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    return {item: (label, predicted) for item, label, predicted, _probability in rows}


def _parameters(network: Mapping[str, Any]) -> int | None:
    """The parameters of a [network] table; None where this olhar does not know the network."""
    try:
        return count_parameters(NetworkSpec(**network))[0]
    except (OlharError, TypeError):
        return None


def check_same_images(one: MeasuredRun, other: MeasuredRun) -> None:
    """Raise DataError, naming the reason, if two runs were not measured on the same images."""
    names = {"one": one.scores.run, "other": other.scores.run}
    here, there = one.report, other.report
    if here.split != there.split:
        raise DataError(
            _(
                "'{one}' was measured on the {here} split and '{other}' on the {there} split;"
                " compare runs that were measured on the same one",
                **names,
                here=here.split,
                there=there.split,
            )
        )
    if here.data["fingerprint"] != there.data["fingerprint"]:
        raise DataError(
            _(
                "'{one}' and '{other}' were measured on different data: {here} (fingerprint"
                " {here_print}…) and {there} (fingerprint {there_print}…); their scores cannot be"
                " compared",
                **names,
                here=short_name(here.data["name"], _LONGEST),
                here_print=here.data["fingerprint"][:12],
                there=short_name(there.data["name"], _LONGEST),
                there_print=there.data["fingerprint"][:12],
            )
        )
    shared = one.answers.keys() & other.answers.keys()
    if not len(shared) == len(one.answers) == len(other.answers):
        raise DataError(
            _(
                "'{one}' and '{other}' were measured on different images: {here} and {there}, of"
                " which {shared} are the same; train them with the same --test and --split-seed",
                **names,
                here=len(one.answers),
                there=len(other.answers),
                shared=len(shared),
            )
        )
    unlike = [item for item in shared if one.answers[item][0] != other.answers[item][0]]
    if unlike:
        raise DataError(
            _(
                "'{one}' and '{other}' give {count} images different true classes, such as"
                " {example}; their predictions.csv are not of the same data",
                **names,
                count=len(unlike),
                example=short_name(min(unlike), _LONGEST),
            )
        )
