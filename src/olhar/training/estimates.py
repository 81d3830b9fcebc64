"""How well the last layer does on images that it has not seen, and on fewer images than there are.

Does not know: torch, intervals, or where features come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from olhar.datasets import group_folds
from olhar.training.head import (
    Features,
    Head,
    Labels,
    Method,
    apply_head,
    fewest_groups,
    fit_at,
    fit_head,
)

CURVE_FOLDS = 5
QUARTERS = 4
_TOLERANCE = 1e-3  # takes half the time, and moves an accuracy by a few tenths of a point
# Of the quarters of what a fold trains on: each alone, each half once, all of them.
_DRAWS = (((0,), (1,), (2,), (3,)), ((0, 1), (2, 3)), ((0, 1, 2, 3),))


@dataclass(frozen=True)
class HeldOut:
    """What heads that had not seen an image, nor one of its group, said of it.

    Attributes:
        logits: (n, K) float32.
        fold: (n,) int64, which fold held each row out.
        methods: of the head of each fold.
    """

    logits: NDArray[np.float32]
    fold: NDArray[np.int64]
    methods: list[Method]

    @property
    def predicted(self) -> Labels:
        """(n,) int64, the class of each row."""
        predicted: Labels = self.logits.argmax(axis=1)
        return predicted


@dataclass(frozen=True)
class CurvePoint:
    """How a head does that was fitted on so many images.

    Attributes:
        photos: that it was fitted on, a mean over folds and draws.
        wrong: (n,) float64 from 0 to 1, in which share of the draws each row was labelled wrongly.
    """

    photos: float
    wrong: NDArray[np.float64]


def cross_validate_head(
    features: Features,
    labels: Labels,
    groups: Labels,
    k: int,
    seed: int,
    method: Method | None = None,
    *,
    num_classes: int | None = None,
    balanced: bool = False,
    on_fold: Callable[[int], None] = lambda _done: None,
) -> HeldOut:
    """Predict each row by a head that has seen neither it nor one of its group.

    Args:
        features: (n, F).
        labels: (n,) from 0 to K - 1.
        groups: (n,) equal where images stay together.
        k: how many folds.
        seed: of the folds.
        method: of the heads; None chooses it anew in each fold, by that fold's training rows
            alone, so that nothing of a held-out row is known to its head.
        num_classes: K; None takes the largest label.
        balanced: see `fit_head`.
        on_fold: hears how many folds are done.

    Raises:
        DataError: fewer groups than folds.
    """
    count = int(labels.max()) + 1 if num_classes is None else num_classes
    logits = np.empty((len(labels), count), np.float32)
    fold = np.empty(len(labels), np.int64)
    methods = []
    for number, (train, held) in enumerate(group_folds(labels, groups, k, seed)):
        head = _fitted(
            features[train], labels[train], groups[train], count, seed, method, balanced=balanced
        )
        logits[held], fold[held] = apply_head(head, features[held]), number
        methods.append(head.method)
        on_fold(number + 1)
    return HeldOut(logits, fold, methods)


def head_curve(
    features: Features,
    labels: Labels,
    groups: Labels,
    seed: int,
    method: Method,
    *,
    balanced: bool = False,
) -> list[CurvePoint]:
    """How a head does that is fitted on a quarter, a half and all of what a fold trains on.

    Each of `CURVE_FOLDS` folds is held out once. What is left is dealt out to quarters, by class
    and with groups whole: four draws of a quarter, two of a half. One method serves all, as the
    weights' prior does not depend on how many images there are.

    Args:
        features: (n, F), of training images.
        labels: (n,) from 0 to K - 1.
        groups: (n,) equal where images stay together.
        seed: of folds and draws.
        method: of the heads, as it was chosen on all rows.
        balanced: see `fit_head`.

    Returns:
        Three points, fewest images first; none where a class has too few groups of images to be
        in each quarter of each fold.
    """
    if fewest_groups(labels, groups) < CURVE_FOLDS:
        return []
    count = int(labels.max()) + 1
    wrong = np.zeros((len(_DRAWS), len(labels)))
    photos = np.zeros(len(_DRAWS))
    classes = len(np.unique(labels))
    for train, held in group_folds(labels, groups, CURVE_FOLDS, seed):
        parts = [part for _r, part in group_folds(labels[train], groups[train], QUARTERS, seed)]
        if min(len(np.unique(labels[train[part]])) for part in parts) < classes:
            return []
        for size, draws in enumerate(_DRAWS):
            for draw in draws:
                rows = train[np.sort(np.concatenate([parts[part] for part in draw]))]
                head = fit_at(
                    features[rows],
                    labels[rows],
                    count,
                    method,
                    balanced=balanced,
                    tolerance=_TOLERANCE,
                )
                missed = apply_head(head, features[held]).argmax(axis=1) != labels[held]
                wrong[size, held] += missed / len(draws)
                photos[size] += len(rows) / len(draws) / CURVE_FOLDS
    return [CurvePoint(float(n), row) for n, row in zip(photos, wrong, strict=True)]


def _fitted(
    features: Features,
    labels: Labels,
    groups: Labels,
    num_classes: int,
    seed: int,
    method: Method | None,
    *,
    balanced: bool,
) -> Head:
    if method is None:
        return fit_head(features, labels, num_classes, seed=seed, balanced=balanced, groups=groups)
    return fit_at(features, labels, num_classes, method, balanced=balanced)
