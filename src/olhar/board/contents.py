"""What the files of one run say, as far as they can be believed.

Does not know: other runs, or how any of it is shown. A file may be half-written, damaged, or gone
by the time it is read.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from olhar.errors import ModelError, OlharError, explain_os_errors
from olhar.evaluation.report import Report
from olhar.i18n import Text, _
from olhar.run import HISTORY_COLUMNS, RunFolder

_MOST_BYTES = 64 * 2**20  # of one file; a confusion matrix of 1,000 classes takes 10 MB

Row = dict[str, float | None]


@dataclass(frozen=True)
class Content:
    """What the files of a run say; `problem` is why they cannot be believed."""

    config: Mapping[str, Any]
    history: list[Row]
    report: Report | None
    problem: Text | None


def read_content(path: Path) -> Content:
    """The files of a run, as far as they can be read."""
    folder, problem = RunFolder(path), None
    config: Mapping[str, Any] = {}
    rows: list[Row] = []
    report = None
    try:
        check_size(folder.config)
        config = folder.read_config()
    except (OlharError, RecursionError) as error:
        problem = _reason(error, folder.config)
    try:
        rows = _history(folder)
        report = _report(folder)
    except (OlharError, RecursionError) as error:
        problem = problem or _reason(error, folder.metrics)
    return Content(config, rows, report, problem)


def _reason(error: Exception, path: Path) -> Text:
    if isinstance(error, OlharError) and isinstance(error.message, Text):
        return error.message
    return _damaged(path, error)


def _damaged(path: Path, reason: object) -> Text:
    return _("'{path}' is damaged: {reason}", path=path, reason=reason)


def check_size(path: Path) -> None:
    """Refuse a file of a run that leads elsewhere, or that would fill the memory.

    Raises:
        ModelError: it does.
    """
    if path.is_symlink() and not is_own_file(path):
        raise ModelError(_damaged(path, _("it is a link that leads elsewhere")))
    with explain_os_errors(path):
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise ModelError(
                _damaged(path, _("it is larger than {size} MB", size=_MOST_BYTES >> 20))
            )


def _history(folder: RunFolder) -> list[Row]:
    """The rows of history.csv; a last line that is still being written is left out.

    Raises:
        ModelError: it is damaged.
    """
    if not is_own_file(folder.history):
        return []
    check_size(folder.history)
    try:
        text = folder.history.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        rows = [
            {name: finite(float(row[name])) for name in HISTORY_COLUMNS}
            for row in csv.DictReader(io.StringIO(whole))
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise ModelError(_damaged(folder.history, repr(error))) from error
    epochs = [row["epoch"] or 0 for row in rows]
    if any(after <= before for before, after in pairwise(epochs)):
        raise ModelError(_damaged(folder.history, _("its epochs are not in order")))
    return rows


def _report(folder: RunFolder) -> Report | None:
    """What metrics.json says; None where the run has not been measured.

    Raises:
        ModelError: it is damaged.
    """
    if not is_own_file(folder.metrics):
        return None
    check_size(folder.metrics)
    report = Report.from_dict(folder.read_metrics())
    try:
        k = len(report.class_names)
        counts = report.confusion_matrix
        low, high = map(float, report.intervals["accuracy"])
        shares = [low, high, float(report.accuracy), float(report.f1)]
        fits = len(counts) == k and all(
            len(row) == k and all(type(cell) is int and cell >= 0 for cell in row) for row in counts
        )
        right = sum(row[i] for i, row in enumerate(counts)) if fits else 0
        fits = fits and report.n == sum(map(sum, counts))
        fits = fits and abs(right - report.accuracy * report.n) < 1e-6 * report.n
        if not fits or not all(0 <= share <= 1 for share in shares):
            raise ModelError(_damaged(folder.metrics, _("its figures do not fit each other")))
        if not all(isinstance(name, str) for name in [*report.class_names, report.split]):
            raise ModelError(_damaged(folder.metrics, _("its class names are no texts")))
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise ModelError(_damaged(folder.metrics, repr(error))) from error
    return report


def best_epoch(rows: list[Row]) -> int | None:
    """The epoch with the highest validation accuracy, the lower loss deciding between equals."""
    known = [row for row in rows if row["val_accuracy"] is not None]
    if not known:
        return None
    best = max(known, key=lambda row: (row["val_accuracy"], -(row["val_loss"] or 0.0)))
    return int(best["epoch"] or 0)


def is_own_file(path: Path) -> bool:
    """Whether it is a real file of the run: no pipe, no link to somewhere else."""
    try:
        return path.is_file() and path.resolve().parent == path.parent.resolve()
    except (OSError, RuntimeError):
        return False


def finite(value: float) -> float | None:
    """JSON knows no NaN and no infinity."""
    return value if math.isfinite(value) else None
