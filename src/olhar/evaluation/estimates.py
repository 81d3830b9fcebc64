"""What heads said of images that they had not seen becomes accuracies with intervals, and a forecast.

Does not know: features, how heads are fitted, or where figures are stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from olhar.evaluation.metrics import wilson_interval
from olhar.run.estimates import ClassRecall, CrossValidation, CurveFigure, PhotoCurve

_RESAMPLES = 1000
_CELLS_AT_ONCE = 1_000_000  # bounds the bootstrap's memory at some 10 MB
_TELLABLE = 0.001  # a gain below a tenth of a point is none to tell of

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


def share_with_interval(right: Floats, groups: Ids) -> tuple[float, list[float]]:
    """The share of rows that are right, and its 95 % interval: Wilson's, of as many images as count.

    Images of one group are not as many observations: n is divided by the design effect (Kish,
    "Survey sampling", 1965, section 8.2), the variance of the share with groups as they are over that
    of n independent images. Where all or none is right, only groups count.

    Args:
        right: (n,) from 0 to 1; n may be 0.
        groups: (n,) equal where images stay together.
    """
    count = float(len(right))
    share = float(right.mean()) if len(right) else 0.0
    _ids, member = np.unique(groups, return_inverse=True)
    together = int(member.max(initial=-1)) + 1
    if together < count:
        apart = np.bincount(member, weights=right - share)  # (groups,)
        variance = (apart**2).sum() / count**2 * together / max(1, together - 1)
        count = min(count, share * (1 - share) / variance) if variance > 0 else float(together)
    low, high = wilson_interval(share * count, count)
    return share, [float(low), float(high)]


def measure_folds(
    predicted: Ids,
    fold: Ids,
    labels: Ids,
    groups: Ids,
    class_names: Sequence[str],
    splits: Sequence[str],
) -> CrossValidation:
    """The accuracy of a cross-validation, in all, by fold and by class.

    Args:
        predicted: (n,) class of each row, by a head that has not seen it.
        fold: (n,) from 0, which fold held it out.
        labels: (n,) its true class.
        groups: (n,) equal where images stay together.
        class_names: K names in index order.
        splits: whose images the rows are.
    """
    right = (predicted == labels).astype(np.float64)
    accuracy, interval = share_with_interval(right, groups)
    per_class = []
    for k, name in enumerate(class_names):
        rows = labels == k
        recall, bounds = share_with_interval(right[rows], groups[rows])
        per_class.append(ClassRecall(name, int(rows.sum()), recall, bounds))
    return CrossValidation(
        folds=int(fold.max()) + 1,
        splits=list(splits),
        n=len(labels),
        groups=len(np.unique(groups)),
        accuracy=accuracy,
        interval=interval,
        fold_accuracies=[float(right[fold == one].mean()) for one in range(int(fold.max()) + 1)],
        per_class=per_class,
    )


def measure_curve(
    points: Sequence[tuple[float, Floats]],
    labels: Ids,
    groups: Ids,
    class_names: Sequence[str],
    folds: int,
) -> PhotoCurve:
    """The accuracy with fewer photos than there are, and a forecast for twice as many.

    The error is taken to fall by one factor with each doubling, a power law (Hestness et al.,
    "Deep learning scaling is predictable, empirically", 2017): the factor is that between the fewest
    and the most photos. Its uncertainty is a percentile bootstrap over groups of images.

    Args:
        points: how many photos a head was fitted on, and (n,) from 0 to 1 how wrong it was on each
            image; fewest photos first.
        labels: (n,) true classes of the images, which are all that there are to train on.
        groups: (n,) equal where images stay together.
        class_names: K names in index order.
        folds: in which the images were held out.
    """
    photos = np.array([count for count, _wrong in points])  # (3,)
    wrong = np.stack([row for _count, row in points])  # (3, n)
    figures = []
    for count, row in zip(photos, wrong, strict=True):
        figures.append(CurveFigure(round(float(count)), *share_with_interval(1 - row, groups)))
    rates = _resampled_errors(wrong, groups)  # (1 + resamples, 3)
    exponent = np.log(rates[:, 0] / rates[:, -1]) / np.log(photos[-1] / photos[0])
    falls = np.maximum(exponent, 0)
    total = len(labels)
    forecast = []
    for count in (total, 2 * total):
        accuracy = 1 - rates[:, -1] * (photos[-1] / count) ** falls
        low, high = np.quantile(accuracy[1:], (0.025, 0.975))
        forecast.append(CurveFigure(count, float(accuracy[0]), [float(low), float(high)]))
    gain = forecast[1].accuracy - forecast[0].accuracy
    gains = bool(np.quantile(exponent[1:], 0.025) > 0 and gain >= _TELLABLE)
    return PhotoCurve(
        folds=folds,
        points=figures,
        now=forecast[0],
        twice=forecast[1],
        gains=gains,
        weakest=_weakest(1 - wrong[-1], labels, groups, class_names) if gains else None,
    )


def _resampled_errors(wrong: Floats, groups: Ids) -> Floats:
    """Error rates (1 + resamples, points): as measured, then of images drawn again group by group.

    Half an error is added, so that none has a logarithm.
    """
    _ids, member = np.unique(groups, return_inverse=True)
    together = int(member.max()) + 1
    sums = np.stack([np.bincount(member, weights=row) for row in [*wrong, np.ones(len(member))]])
    generator = np.random.default_rng(0)
    even, chunk = np.full(together, 1 / together), max(1, _CELLS_AT_ONCE // together)
    found = [np.ones((1, together)) @ sums.T]
    for start in range(0, _RESAMPLES, chunk):
        draws = generator.multinomial(together, even, size=min(chunk, _RESAMPLES - start))
        found.append((draws @ sums.T).astype(np.float64))
    totals = np.concatenate(found)
    rates: Floats = (totals[:, :-1] + 0.5) / (totals[:, -1:] + 1)
    return rates


def _weakest(
    right: Floats, labels: Ids, groups: Ids, class_names: Sequence[str]
) -> ClassRecall | None:
    """The class that is found least; None where chance may explain that it is below the accuracy."""
    found = []
    for k in np.unique(labels):
        rows = labels == k
        recall, bounds = share_with_interval(right[rows], groups[rows])
        found.append(ClassRecall(class_names[k], int(rows.sum()), recall, bounds))
    worst = min(found, key=lambda one: one.recall)
    return worst if worst.interval[1] < right.mean() else None
