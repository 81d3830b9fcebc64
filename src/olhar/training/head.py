"""The last layer of a network, solved for: multinomial logistic regression on frozen features.

How strongly it is regularised is chosen by cross-validation on the training images alone, by the
mean log loss of stratified folds (Hastie, Tibshirani and Friedman 2009, section 7.10).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# C: the variance of the prior of each weight, from the strongest regularisation to the weakest.
STRENGTHS = tuple(float(f"{10 ** (power / 2):.3g}") for power in range(-8, 1))
_FOLDS, _FOLDS_OF_MANY, _MANY = 5, 3, 2000
_CHOSEN_ON = 4000  # training images, at most
_STEPS = 100
_ABSENT = -30.0  # bias of a class that no training image has

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """A dense layer, and how it was chosen.

    Attributes:
        weight: (K, F) float32.
        bias: (K,) float32.
        strength: of `STRENGTHS`, that was chosen.
        candidates: (strength, mean log loss, accuracy) in cross-validation; empty where a class has
            too few images for it.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    candidates: list[tuple[float, float, float]]


def fit_head(
    features: Features, labels: Labels, num_classes: int, *, seed: int, balanced: bool = False
) -> Head:
    """Choose the strength of regularisation, and fit on all rows.

    Args:
        features: (n, F).
        labels: (n,) from 0 to K - 1.
        num_classes: K; a class without images is never predicted.
        seed: of the folds.
        balanced: whether a class counts the same however few images it has.
    """
    candidates = _cross_validate(features, labels, seed=seed, balanced=balanced)
    best = min(candidates, key=lambda row: row[1], default=(STRENGTHS[-2], 0.0, 0.0))
    mean, scale = _statistics(features)
    model = _regression(balanced=balanced)
    _fit(model, (features - mean) / scale, labels, best[0])
    coefficients, intercept = _layer(model)
    weight = np.zeros((num_classes, features.shape[1]), np.float32)
    bias = np.full(num_classes, _ABSENT, np.float32)
    # Centring and scale go into the layer: w·(x - mean)/scale + b.
    weight[model.classes_] = coefficients / scale
    bias[model.classes_] = intercept - (coefficients / scale) @ mean
    return Head(weight, bias, best[0], candidates)


def apply_head(head: Head, features: Features) -> NDArray[np.float32]:
    """Features (n, F) → logits (n, K)."""
    logits: NDArray[np.float32] = features @ head.weight.T + head.bias
    return logits


def log_loss(logits: NDArray[np.floating[Any]], labels: Labels) -> float:
    """Mean cross-entropy of logits (n, K)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    normalised = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-normalised[np.arange(len(labels)), labels].mean())


def _cross_validate(
    features: Features, labels: Labels, *, seed: int, balanced: bool
) -> list[tuple[float, float, float]]:
    """(strength, mean log loss, accuracy) of each, until the loss has risen twice."""
    from sklearn.model_selection import StratifiedKFold

    if len(labels) > _CHOSEN_ON:
        chosen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:_CHOSEN_ON])
        features, labels = features[chosen], labels[chosen]
    counts = np.bincount(labels)
    count = min(_FOLDS if len(labels) < _MANY else _FOLDS_OF_MANY, int(counts[counts > 0].min()))
    if count < 2 or (counts > 0).sum() < 2:
        return []
    cuts = StratifiedKFold(count, shuffle=True, random_state=seed).split(features, labels)
    folds = [_Fold(features, labels, *cut, balanced=balanced) for cut in cuts]
    rows: list[tuple[float, float, float]] = []
    for strength in STRENGTHS:
        figures = np.array([fold.measure(strength) for fold in folds])  # (folds, 2)
        loss, accuracy = figures.mean(axis=0).tolist()
        rows.append((strength, loss, accuracy))
        if len(rows) > 2 and min(rows[-1][1], rows[-2][1]) > min(row[1] for row in rows[:-2]):
            break
    return rows


class _Fold:
    """A part of the rows to fit on, and the rest to measure on; each fit begins where the last ended."""

    def __init__(
        self,
        features: Features,
        labels: Labels,
        train: Labels,
        held_out: Labels,
        *,
        balanced: bool,
    ) -> None:
        mean, scale = _statistics(features[train])
        self._x, self._y = (features[train] - mean) / scale, labels[train]
        self._held_x, self._held_y = (features[held_out] - mean) / scale, labels[held_out]
        self._model = _regression(balanced=balanced)

    def measure(self, strength: float) -> tuple[float, float]:
        """(mean log loss, accuracy) of the held-out rows."""
        _fit(self._model, self._x, self._y, strength)
        coefficients, intercept = _layer(self._model)
        logits = self._held_x @ coefficients.T + intercept
        columns = np.searchsorted(self._model.classes_, self._held_y)
        return log_loss(logits, columns), float((logits.argmax(axis=1) == columns).mean())


def _statistics(features: Features) -> tuple[NDArray[np.float32], np.float32]:
    """The mean (F,) of each feature, and the mean of their standard deviations.

    One scale for all of them: from ten photos a class each feature's own is known so badly that the
    accuracy on others falls by two points (docs/transfer.md).
    """
    scale = np.float32(features.std(axis=0).mean())
    return features.mean(axis=0), scale if scale > 1e-6 else np.float32(1)


def _regression(*, balanced: bool) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        max_iter=_STEPS, class_weight="balanced" if balanced else None, warm_start=True
    )


def _layer(model: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients (K, F) and intercepts (K,) of the classes that it has seen."""
    coefficients, intercept = model.coef_, model.intercept_
    if len(coefficients) == 1:  # two classes: one row, which speaks for the second
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    return coefficients, intercept


def _fit(model: Any, x: Features, y: Labels, strength: float) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # In float32 the gradient seldom gets as small as asked; the loss stands still long before.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(C=strength).fit(x, y)
