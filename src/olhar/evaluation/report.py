"""What was measured on one split: the content of `metrics.json`, and its form for people.

Does not know: which file it is stored in, or how predictions are made.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olhar.errors import DataError, ModelError
from olhar.evaluation import metrics
from olhar.evaluation.calibration import describe_calibration
from olhar.i18n import Text, _, language, number

FORMAT = 1
WEAKEST = 3
SPLITS = {
    "test": _("test split"),
    "val": _("validation split"),
    "train": _("training split"),
    "all": _("whole data set"),
}


class ClassScores(TypedDict):
    """The scores of one class; intervals are Wilson's, 95 %."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    recall_interval: list[float]
    precision_interval: list[float]


@dataclass(frozen=True)
class Report:
    """Every number of an evaluation.

    Attributes:
        split: "train", "val" or "test".
        n: how many images.
        accuracy: share of images labelled rightly.
        precision: macro average, over all classes; so are `recall` and `f1`.
        recall: see `precision`.
        f1: see `precision`.
        loss: mean negative log likelihood, nats.
        ece: expected calibration error, 15 bins.
        weighted: `precision`, `recall`, `f1` averaged by support.
        intervals: 95 % [low, high] of `accuracy` (Wilson) and of the macro `precision`, `recall`,
            `f1` (bootstrap).
        per_class: in index order.
        confusion_matrix: K rows (true class) of K counts (predicted class).
        class_names: in index order.
        data: `name` and `fingerprint` of the data set.
        calibration: `temperature`; `ece_before` (at temperature 1) and `ece_after`; `threshold`;
            `coverage`, the share of images at or above it; `sure_accuracy`, the share of those that
            is right. Empty in records of olhar 0.1.
        format: of this record.
    """

    split: str
    n: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    loss: float
    ece: float
    weighted: dict[str, float]
    intervals: dict[str, list[float]]
    per_class: list[ClassScores]
    confusion_matrix: list[list[int]]
    class_names: list[str]
    data: dict[str, str]
    calibration: dict[str, float] = field(default_factory=dict)
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON knows it: dicts, lists, strings and numbers."""
        return {"format": self.format, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Report:
        """Take back what `to_dict` gave; entries of other names are left aside.

        Raises:
            ModelError: the record is incomplete, or of a newer format.
        """
        found = record.get("format")
        if not isinstance(found, int) or not 1 <= found <= FORMAT:
            raise ModelError(
                _(
                    "this report has format {found}; this olhar reads formats 1 to {known};"
                    " upgrade olhar, or evaluate the model again",
                    found=found,
                    known=FORMAT,
                )
            )
        fields = dataclasses.fields(cls)
        missing = [
            one.name for one in fields if one.name not in record and one.default_factory is MISSING
        ]
        if missing:
            raise ModelError(
                _(
                    "this report lacks {missing}; evaluate the model again",
                    missing=", ".join(missing),
                )
            )
        return cls(**{one.name: record[one.name] for one in fields if one.name in record})

    def summary(self) -> str:
        """A few lines for a terminal: accuracy, F1, calibration, and the weakest classes."""
        lines = [str(self._line(title, key)) for title, key in self._headline()]
        lines.append(
            str(
                _(
                    "measured on {n:,} images of the {split} of {data}; [95 % interval]",
                    n=self.n,
                    split=SPLITS.get(self.split, self.split),
                    data=short_name(self.data.get("name", "?"), 60),
                )
            )
        )
        if self.calibration:
            lines.append(str(self._calibration_line()))
        weak = [one for one in self.per_class if one["support"] and one["f1"] < 1]
        weak = sorted(weak, key=lambda one: one["f1"])[:WEAKEST]
        if weak:
            # A separator of its own: a comma may stand inside the numbers.
            shown = str(_(", ")).join(
                f"{short_name(self._shown_name(one['name']), 30)} {number(one['f1'], 3)}"
                for one in weak
            )
            lines.append(str(_("weakest classes by F1: {classes}", classes=shown)))
        return "\n".join(lines)

    def _shown_name(self, name: str) -> str:
        """A class of a data set known by name, in the language in force."""
        from olhar.datasets.named import CLASS_NAMES, TRANSLATED_NAMES

        data = self.data.get("name", "")
        translated = TRANSLATED_NAMES.get(data, {}).get(language(), ())
        return dict(zip(CLASS_NAMES.get(data, ()), translated, strict=False)).get(name, name)

    def _headline(self) -> list[tuple[Text, str]]:
        return [(_("accuracy"), "accuracy"), (_("macro F1"), "f1")]

    def _line(self, title: Text, key: str) -> Text:
        low, high = self.intervals[key]
        return _(
            "{title} {value:.2%} [{low:.2%}, {high:.2%}]",
            title=title,
            value=getattr(self, key),
            low=low,
            high=high,
        )

    def _calibration_line(self) -> Text:
        if self.calibration["temperature"] == 1:
            return _(
                "sure of {coverage:.1%} of the images (threshold {threshold:.2f}), of these"
                " {sure_accuracy:.1%} are right; calibration error {ece_after:.3f}",
                **self.calibration,
            )
        return _(
            "sure of {coverage:.1%} of the images (threshold {threshold:.2f}), of these"
            " {sure_accuracy:.1%} are right; calibration error {ece_after:.3f}"
            " ({ece_before:.3f} before temperature {temperature:.2f})",
            **self.calibration,
        )

    def _repr_html_(self) -> str:
        titles = (_("class"), _("precision"), _("recall"), _("F1"), _("images"))
        head = "".join(f"<th>{html.escape(str(title))}</th>" for title in titles)
        rows = "".join(
            f"<tr><td>{html.escape(self._shown_name(one['name']))}</td>"
            f"<td>{number(one['precision'], 3)}</td><td>{number(one['recall'], 3)}</td>"
            f"<td>{number(one['f1'], 3)}</td><td>{one['support']}</td></tr>"
            for one in self.per_class
        )
        text = html.escape(self.summary()).replace("\n", "<br>")
        return f"<p>{text}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def build_report(
    probs: NDArray[np.floating],
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    split: str,
    data: Mapping[str, str],
    temperature: float = 1.0,
    threshold: float = 0.5,
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
    )


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


def short_name(name: str, length: int) -> str:
    """A name on one line of at most `length` characters, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split()) or "?"
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
