"""What a model said of each image that it was measured on: the rows of predictions.csv.

Does not know: how they were computed, or how they are scored.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """A row of predictions.csv.

    Attributes:
        item: file or index of the image.
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

    @property
    def is_right(self) -> bool:
        """Whether the predicted class is the true one."""
        return self.label == self.predicted


def parse_answers(text: str) -> list[Answer]:
    """The rows of a CSV as `evaluation.report.prediction_rows` gives it.

    Raises:
        ValueError, IndexError, csv.Error: it lacks a column or a cell, or a probability is no number.
    """
    rows = csv.reader(io.StringIO(text, newline=""))
    _item, *columns = next(rows, [])
    true = columns.index("true_probability") if "true_probability" in columns else None
    places = [columns.index(name) for name in ("label", "predicted", "probability")]
    found = []
    for item, *cells in rows:
        label, predicted, probability = (cells[place] for place in places)
        own = float(cells[true]) if true is not None else None
        found.append(Answer(item, label, predicted, float(probability), own))
    return found
