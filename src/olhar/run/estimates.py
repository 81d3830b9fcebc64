"""What cross-validation on a backbone's features has measured: records of metrics.json, and their words.

Does not know: how any of it was measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from olhar.i18n import Text, _


@dataclass(frozen=True)
class ClassRecall:
    """Of the images of a class, the share that was found.

    Attributes:
        name: of the class.
        support: how many images.
        recall: the share.
        interval: 95 % [low, high].
    """

    name: str
    support: int
    recall: float
    interval: list[float]

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> ClassRecall:
        """Take back what `dataclasses.asdict` gave."""
        return cls(
            str(record["name"]),
            int(record["support"]),
            _share(record["recall"]),
            _bounds(record["interval"]),
        )


@dataclass(frozen=True)
class CrossValidation:
    """Each image predicted once, by a head that had seen neither it nor one of its group.

    Attributes:
        folds: how many parts the images were divided into.
        splits: whose images they are: train and val, and test where it was cut from the same photos.
        n: how many images.
        groups: of images that stay together; n where each is by itself.
        accuracy: the share that is right.
        interval: 95 % [low, high].
        fold_accuracies: of each part.
        per_class: in index order.
    """

    folds: int
    splits: list[str]
    n: int
    groups: int
    accuracy: float
    interval: list[float]
    fold_accuracies: list[float]
    per_class: list[ClassRecall]

    def to_dict(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CrossValidation:
        """Take back what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        return cls(
            folds=int(record["folds"]),
            splits=[str(split) for split in record["splits"]],
            n=int(record["n"]),
            groups=int(record["groups"]),
            accuracy=_share(record["accuracy"]),
            interval=_bounds(record["interval"]),
            fold_accuracies=[_share(one) for one in record["fold_accuracies"]],
            per_class=[ClassRecall.from_dict(one) for one in record["per_class"]],
        )

    def sentence(self) -> Text:
        """The figure in words."""
        return _(
            "cross-validated accuracy {accuracy:.2%} [{low:.2%}, {high:.2%}]: {folds} folds, all "
            "{n:,} images {parts}, each predicted by a last layer that has not seen it",
            accuracy=self.accuracy,
            low=self.interval[0],
            high=self.interval[1],
            folds=self.folds,
            n=self.n,
            parts=self.parts(),
        )

    def parts(self) -> Text:
        """Whose images they are, in words."""
        if "test" in self.splits:
            return _("(training, validation and test)")
        return _("(training and validation)")


@dataclass(frozen=True)
class CurveFigure:
    """An accuracy with so many photos to train on.

    Attributes:
        photos: how many.
        accuracy: the share that is right.
        interval: 95 % [low, high].
    """

    photos: int
    accuracy: float
    interval: list[float]

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> CurveFigure:
        """Take back what `dataclasses.asdict` gave."""
        return cls(int(record["photos"]), _share(record["accuracy"]), _bounds(record["interval"]))


@dataclass(frozen=True)
class PhotoCurve:
    """How the accuracy grows with the photos that are trained on.

    Attributes:
        folds: in which training photos were held out.
        points: measured, fewest photos first.
        now: computed for all training photos, of which a fold holds some out.
        twice: computed for twice as many.
        gains: whether more photos bring anything that can be told from chance.
        weakest: the class that is found least, where more photos gain and chance alone does not
            explain it.
    """

    folds: int
    points: list[CurveFigure]
    now: CurveFigure
    twice: CurveFigure
    gains: bool
    weakest: ClassRecall | None

    def to_dict(self) -> dict[str, Any]:
        """As metrics.json has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> PhotoCurve:
        """Take back what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        weakest = record["weakest"]
        return cls(
            folds=int(record["folds"]),
            points=[CurveFigure.from_dict(point) for point in record["points"]],
            now=CurveFigure.from_dict(record["now"]),
            twice=CurveFigure.from_dict(record["twice"]),
            gains=bool(record["gains"]),
            weakest=ClassRecall.from_dict(weakest) if weakest else None,
        )

    def sentence(self) -> Text:
        """What twice as many photos would bring, in words."""
        if not self.gains:
            return _(
                "in cross-validation the accuracy is about {now:.1%} with the {total:,} training "
                "photos; twice as many would bring no gain that could be measured",
                now=self.now.accuracy,
                total=self.now.photos,
            )
        return _(
            "in cross-validation the accuracy is about {now:.1%} with the {total:,} training photos; "
            "twice as many may bring it to about {twice:.1%} [{low:.1%}, {high:.1%}]",
            now=self.now.accuracy,
            total=self.now.photos,
            twice=self.twice.accuracy,
            low=self.twice.interval[0],
            high=self.twice.interval[1],
        )

    def advice(self, name: str) -> Text:
        """Which class needs photos most, called `name`; only where there is a weakest one."""
        assert self.weakest is not None
        return _(
            "more photos of “{name}” would probably bring most: it is found least, {recall:.1%} of "
            "its photos",
            name=name,
            recall=self.weakest.recall,
        )


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(repr(value))
    return share


def _bounds(values: Any) -> list[float]:
    low, high = values
    return [_share(low), _share(high)]
