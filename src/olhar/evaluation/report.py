"""Predictions become a report and the rows of `predictions.csv`.

Does not know: where they are stored, or how predictions are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olhar.errors import DataError
from olhar.evaluation import metrics
from olhar.evaluation.calibration import describe_calibration
from olhar.i18n import _
from olhar.run.report import ClassScores, Report


def build_report(
    probs: NDArray[np.floating],
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    split: str,
    data: Mapping[str, str],
    temperature: float = 1.0,
    threshold: float = 0.5,
    seen: Mapping[str, int] | None = None,
    validation: Mapping[str, float] | None = None,
) -> Report:
    """Measure predictions.

    Args:
        probs: (N, K) float32, rows add up to 1, at `temperature`.
        labels: (N,) integers, the true class indices.
        class_names: K names in index order.
        split: which split the images are.
        data: `name` and `fingerprint` of the data set.
        temperature: of the model; calibration before it is measured by taking it back.
        threshold: a top probability below it is "not sure".
        seen: how many of the images the model has seen before (see Report).
        validation: the model's `accuracy` on so many (`n`) validation images, where that is known.

    Raises:
        DataError: there are no images, shapes or class indices do not fit, or a probability is
            not a number.
    """
    labels = metrics.check_predictions(probs, labels, len(class_names))
    confusion = metrics.confusion_matrix(labels, probs.argmax(axis=1), len(class_names))
    found = metrics.scores(confusion)
    bootstrap = metrics.bootstrap_intervals(confusion)
    low, high = metrics.wilson_interval(np.trace(confusion), len(labels))
    intervals = {"accuracy": [float(low), float(high)]}
    intervals |= {name: list(bootstrap[f"macro_{name}"]) for name in metrics.AVERAGED}
    return Report(
        split=split,
        n=len(labels),
        accuracy=float(found["accuracy"]),
        precision=float(found["macro_precision"]),
        recall=float(found["macro_recall"]),
        f1=float(found["macro_f1"]),
        loss=metrics.negative_log_likelihood(probs, labels),
        ece=metrics.expected_calibration_error(probs, labels),
        weighted={name: float(found[f"weighted_{name}"]) for name in metrics.AVERAGED},
        intervals=intervals,
        per_class=_per_class(confusion, class_names),
        confusion_matrix=confusion.tolist(),
        class_names=list(class_names),
        data=dict(data),
        calibration=describe_calibration(
            probs, labels, temperature=temperature, threshold=threshold
        ),
        seen=dict(seen or {}),
        validation=_beside(validation, int(np.trace(confusion)), len(labels), split),
    )


def _beside(
    validation: Mapping[str, float] | None, right: int, count: int, split: str
) -> dict[str, float]:
    """What `Report.validation` says of `right` answers on `count` images."""
    if not validation or split in {"train", "val"}:
        return {}
    accuracy, n = validation["accuracy"], int(validation["n"])
    low, high = metrics.difference_interval(right, count, round(accuracy * n), n)
    return {"accuracy": accuracy, "n": n, "low": low, "high": high}


def _per_class(confusion: NDArray[np.int64], class_names: Sequence[str]) -> list[ClassScores]:
    found = metrics.scores(confusion)
    correct = confusion.diagonal()  # (K,)
    recall = np.stack(metrics.wilson_interval(correct, confusion.sum(axis=1)), axis=1)  # (K, 2)
    precision = np.stack(metrics.wilson_interval(correct, confusion.sum(axis=0)), axis=1)  # (K, 2)
    return [
        ClassScores(
            name=name,
            precision=float(found["precision"][k]),
            recall=float(found["recall"][k]),
            f1=float(found["f1"][k]),
            support=int(found["support"][k]),
            recall_interval=recall[k].tolist(),
            precision_interval=precision[k].tolist(),
        )
        for k, name in enumerate(class_names)
    ]


def prediction_rows(
    probs: NDArray[np.floating],
    labels: ArrayLike,
    class_names: Sequence[str],
    item_names: Sequence[str],
    header: str,
) -> list[tuple[str | float, ...]]:
    """The rows of `predictions.csv`, the row of column names first.

    Args:
        probs: (N, K) float32.
        labels: (N,) integers.
        class_names: K names in index order.
        item_names: N files or indices.
        header: the name of the first column: "file" or "index".

    Returns:
        N + 1 rows: item, label, predicted class, its probability (to six decimals).

    Raises:
        DataError: as `build_report`.
    """
    labels = metrics.check_predictions(probs, labels, len(class_names))
    if len(item_names) != len(labels):
        raise DataError(
            _(
                "{names} item names were given for {n} images; give one for each",
                names=len(item_names),
                n=len(labels),
            )
        )
    rows: list[tuple[str | float, ...]] = [(header, "label", "predicted", "probability")]
    best = probs.argmax(axis=1)  # (N,)
    for item, label, k, prob in zip(item_names, labels, best, probs.max(axis=1), strict=True):
        rows.append((item, class_names[label], class_names[k], round(float(prob), 6)))
    return rows
