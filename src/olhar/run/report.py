"""What was measured on one split: the content of `metrics.json`, and its form for people.

Does not know: which file it is stored in, or how it was measured.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, TypedDict

from olhar.errors import ModelError
from olhar.i18n import Text, _, language, number

FORMAT = 1
LEAST_BELOW = 0.01  # a smaller difference, however sure, is no news
WEAKEST = 3
CALIBRATION = (
    *("temperature", "ece_before", "ece_after"),
    *("threshold", "coverage", "sure_accuracy"),
)
SEEN = ("trained", "validated", "near", "left_out")
VALIDATION = ("accuracy", "n", "low", "high")
_AVERAGED = ("precision", "recall", "f1")
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
        seen: of the images of this split how many the model had been `trained` on, how many had
            `validated` it, and how many are `near` one of these: nearly the same picture; and how many
            of all of them were `left_out`, which `n` does not count. Empty where that is not known.
        validation: the model's `accuracy` on so many (`n`) validation images, and the 95 % interval,
            `low` to `high`, of how far `accuracy` is from it. Empty where that is not known, and for the
            validation and training split.
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
    seen: dict[str, int] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON knows it: dicts, lists, strings and numbers."""
        values = {"format": self.format, **dataclasses.asdict(self)}
        return {k: v for k, v in values.items() if v or k not in {"seen", "validation"}}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Report:
        """Take back what `to_dict` gave; entries of other names are left aside.

        Raises:
            ModelError: the record is incomplete, or of a newer format.
            KeyError, TypeError, ValueError, AttributeError, OverflowError: a value is of a wrong
                type, or a list is not as long as there are classes.
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
        names = [_text(name) for name in record["class_names"]]
        confusion = [[int(count) for count in row] for row in record["confusion_matrix"]]
        per_class = [_class_scores(one) for one in record["per_class"]]
        if {len(names), *map(len, confusion)} != {len(confusion)} or len(per_class) != len(names):
            raise ValueError("class_names, per_class and confusion_matrix differ in length")
        calibration = record.get("calibration") or {}
        return cls(
            split=_text(record["split"]),
            n=int(record["n"]),
            **{key: float(record[key]) for key in ("accuracy", *_AVERAGED, "loss", "ece")},
            weighted={key: float(record["weighted"][key]) for key in _AVERAGED},
            intervals={key: _bounds(record["intervals"][key]) for key in ("accuracy", *_AVERAGED)},
            per_class=per_class,
            confusion_matrix=confusion,
            class_names=names,
            data={key: _text(value) for key, value in record["data"].items()},
            calibration={key: float(calibration[key]) for key in CALIBRATION if key in calibration},
            validation=_all_of(record.get("validation"), VALIDATION),
            seen={key: int(n) for key, n in _all_of(record.get("seen"), SEEN).items()},
            format=found,
        )

    def fits(self) -> bool:
        """Whether its figures fit each other: the counts give n and accuracy, shares are shares."""
        counts = [count for row in self.confusion_matrix for count in row]
        right = sum(row[k] for k, row in enumerate(self.confusion_matrix))
        shares = (*self.intervals["accuracy"], self.accuracy, self.f1)
        return (
            self.n == sum(counts)
            and min(counts, default=0) >= 0
            and abs(right - self.accuracy * self.n) < 1e-6 * self.n
            and all(0 <= share <= 1 for share in shares)
        )

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
        lines += map(str, self.reservations())
        return "\n".join(lines)

    def reservations(self) -> list[Text]:
        """What is to be known before the figures are believed, a sentence each; often nothing."""
        return [*self._seen_before(), *self._below()]

    @property
    def below_validation(self) -> bool:
        """Whether the accuracy is below that on validation images by more than chance explains."""
        if not self.validation:
            return False
        difference = self.accuracy - self.validation["accuracy"]
        return self.validation["high"] < 0 and difference <= -LEAST_BELOW

    def _below(self) -> list[Text]:
        if not self.below_validation:
            return []
        return [
            _(
                "accuracy is {here:.1%} here and {there:.1%} on the {n:,} validation images: lower than "
                "chance explains. Perhaps these images are unlike those of the training (other cameras, "
                "places, days or people), or labelled by another rule; or the validation images are nearly "
                "training images (of one person, one film), so that the figure there flatters. Look at "
                "photos of both, and at what olhar data finds",
                here=self.accuracy,
                there=self.validation["accuracy"],
                n=int(self.validation["n"]),
            )
        ]

    def _seen_before(self) -> list[Text]:
        if not any(self.seen.values()) or self.split == "train":
            return []
        if self.seen["left_out"]:
            return [
                _(
                    "left out, since the model has seen them: {left_out:,} images ({trained:,} that it "
                    "was trained on, {validated:,} that validated it, {near:,} nearly the same as one of "
                    "these)",
                    **self.seen,
                )
            ]
        return [
            _(
                "the model has seen images of these before: {trained:,} that it was trained on, "
                "{validated:,} that validated it, {near:,} nearly the same as one of these; so the "
                "figures flatter",
                **self.seen,
            )
        ]

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


def short_name(name: str, length: int) -> str:
    """A name on one line of at most `length` characters, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split()) or "?"
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _class_scores(one: Mapping[str, Any]) -> ClassScores:
    return ClassScores(
        name=_text(one["name"]),
        precision=float(one["precision"]),
        recall=float(one["recall"]),
        f1=float(one["f1"]),
        support=int(one["support"]),
        recall_interval=_bounds(one["recall_interval"]),
        precision_interval=_bounds(one["precision_interval"]),
    )


def _all_of(values: Mapping[str, Any] | None, keys: Sequence[str]) -> dict[str, float]:
    """All of the keys, or nothing where there are no values."""
    return {key: float(values[key]) for key in keys} if values else {}


def _bounds(values: Any) -> list[float]:
    low, high = values
    return [float(low), float(high)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(repr(value))
    return value
