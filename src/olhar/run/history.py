"""The rows of history.csv, one for each epoch, and which epoch is the best.

Does not know: files, or how a network is trained.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

from olhar.files import csv_text

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
Row = dict[str, float]


def epoch_score(row: Mapping[str, float]) -> tuple[float, float]:
    """How good the weights after an epoch are: by validation accuracy, of equals by lower loss.

    What is not a number counts as the worst.
    """
    pair = row["val_accuracy"], -row["val_loss"]
    accuracy, loss = (-math.inf if math.isnan(value) else value for value in pair)
    return accuracy, loss


def best_epoch(rows: Iterable[Row]) -> Row | None:
    """The row of the epoch whose weights are kept, the first of equals; None where there is none."""
    return max(rows, key=epoch_score, default=None)


def parse_history(text: str) -> list[Row]:
    """The rows of a CSV with `HISTORY_COLUMNS`.

    Raises:
        TypeError, ValueError, csv.Error: it lacks a column or a cell, or a cell is no number.
    """
    table = csv.DictReader(io.StringIO(text))
    missing = set(HISTORY_COLUMNS).difference(table.fieldnames or HISTORY_COLUMNS)
    if missing:
        raise ValueError(", ".join(sorted(missing)))
    rows = [{name: float(row[name]) for name in HISTORY_COLUMNS} for row in table]
    if not all(math.isfinite(row["epoch"] + row["seconds"]) for row in rows):
        raise ValueError("epoch, seconds")
    return rows


def history_text(rows: Sequence[Mapping[str, float]]) -> str:
    """What `parse_history` reads."""
    return csv_text([HISTORY_COLUMNS, *([row[name] for name in HISTORY_COLUMNS] for row in rows)])
