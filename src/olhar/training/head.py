"""The last layer of a network, solved for on frozen features.

It is a multinomial logistic regression, a linear discriminant analysis, or the mean of both, which is
a dense layer too. Which, and how strongly it is regularised, is chosen by cross-validation on the
training images alone, by the mean log loss of stratified folds (Hastie, Tibshirani and Friedman 2009,
section 7.10).
"""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from olhar.datasets import group_folds
from olhar.training.discriminant import fit_discriminant

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# C: the variance of the prior of each weight, from the strongest regularisation to the weakest.
STRENGTHS = tuple(float(f"{10 ** (power / 2):.3g}") for power in range(-8, 1))
# How far the covariance of a discriminant analysis is moved towards equal variances.
SHRINKAGES = (0.1, 0.2, 0.5)
_FACTORS = np.geomspace(0.02, 4, 40)  # by which its logits may be multiplied
_FOLDS, _FOLDS_OF_MANY, _MANY = 5, 3, 2000
_CHOSEN_ON = 4000  # training images, at most
_STEPS = 100
TOLERANCE = 1e-4
_ABSENT = -30.0  # bias of a class that no training image has

Features = NDArray[np.float32]
Labels = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Method:
    """How a head is fitted.

    Attributes:
        strength: of `STRENGTHS`, of the logistic regression; 0 where it has no part.
        shrinkage: of `SHRINKAGES`, of the discriminant analysis; 0 where it has no part. Where both have
            a part, the logits are the mean of theirs.
        factor: by which the logits of the discriminant analysis are multiplied.
    """

    strength: float = STRENGTHS[-2]
    shrinkage: float = 0.0
    factor: float = 1.0


USUAL_METHOD = Method()  # where it cannot be chosen


@dataclass(frozen=True)
class Candidate:
    """How heads of one method did on images that they had not seen: mean log loss, and accuracy."""

    method: Method
    log_loss: float
    accuracy: float


@dataclass(frozen=True)
class Trial:
    """How heads of each method did on images that they had not seen.

    Attributes:
        candidates: of each; empty where a class has too few images to divide.
        method: with the lowest log loss.
        rows: (m,) positions of the images that it was chosen on, at most 4,000.
        folds: (training, held-out) positions in `rows`.
        logits: (m, K) of each image, by the head that had not seen it, with `method`.
    """

    candidates: list[Candidate]
    method: Method
    rows: Labels
    folds: list[tuple[Labels, Labels]]
    logits: Features

    @property
    def regression(self) -> Method:
        """The best of those in which only a regression has a part."""
        there = [one for one in self.candidates if not one.method.shrinkage]
        return min(there, key=lambda one: one.log_loss).method


@dataclass(frozen=True)
class Head:
    """A dense layer, and how it was chosen.

    Attributes:
        weight: (K, F) float32.
        bias: (K,) float32.
        method: that was chosen.
        candidates: as in `Trial`; empty where the method was given.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    method: Method
    candidates: list[Candidate]


def fit_head(
    features: Features,
    labels: Labels,
    num_classes: int,
    *,
    seed: int,
    balanced: bool = False,
    groups: Labels | None = None,
    trained_further: bool = False,
) -> Head:
    """Choose the method, and fit on all rows.

    Args:
        features: (n, F).
        labels: (n,) from 0 to K - 1.
        num_classes: K; a class without images is never predicted.
        seed: of the folds.
        balanced: whether a class counts the same however few images it has.
        groups: (n,) equal where images stay in one fold; by default each is its own group.
        trained_further: it begins a training of the network, and so must be a regression: from a
            discriminant analysis such a training ends worse (docs/experiments.md).
    """
    trial = try_heads(
        features,
        labels,
        num_classes,
        seed=seed,
        balanced=balanced,
        groups=groups,
        shrinkages=() if trained_further else SHRINKAGES,
    )
    head = fit_at(features, labels, num_classes, trial.method, balanced=balanced)
    return dataclasses.replace(head, candidates=trial.candidates)


def fit_at(
    features: Features,
    labels: Labels,
    num_classes: int,
    method: Method,
    *,
    balanced: bool = False,
    tolerance: float = TOLERANCE,
) -> Head:
    """Fit on all rows with a method that is known; else as `fit_head`.

    Where all rows are of one class it is always predicted. The solver of the regression stops where the
    largest entry of the gradient is below `tolerance`.
    """
    weight = np.zeros((num_classes, features.shape[1]), np.float32)
    bias = np.full(num_classes, _ABSENT, np.float32)
    if (labels == labels[0]).all():
        bias[labels[0]] = 0
        return Head(weight, bias, method, [])
    mean, scale = _statistics(features)
    x = (features - mean) / scale
    parts: list[tuple[Labels, Floats, Floats]] = []
    if method.strength:
        model = _regression(balanced=balanced, tolerance=tolerance)
        _fit(model, x, labels, method.strength)
        parts.append((model.classes_, *_layer(model)))
    if method.shrinkage:
        parts.append(_discriminant(x, labels, method, balanced=balanced))
    classes = parts[0][0]
    coefficients = sum(part[1] for part in parts) / np.float32(len(parts))
    intercept = sum(part[2] for part in parts) / np.float32(len(parts))
    # Centring and scale go into the layer: w·(x - mean)/scale + b.
    weight[classes] = coefficients / scale
    bias[classes] = intercept - (coefficients / scale) @ mean
    return Head(weight, bias, method, [])


def apply_head(head: Head, features: Features) -> NDArray[np.float32]:
    """Features (n, F) → logits (n, K)."""
    logits: NDArray[np.float32] = features @ head.weight.T + head.bias
    return logits


def log_loss(logits: NDArray[np.floating[Any]], labels: Labels) -> float:
    """Mean cross-entropy of logits (n, K)."""
    return float(row_losses(logits, labels).mean())


def row_losses(logits: NDArray[np.floating[Any]], labels: Labels) -> NDArray[np.floating[Any]]:
    """The cross-entropy of each row of logits (n, K), (n,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    normalised = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    losses: NDArray[np.floating[Any]] = -normalised[np.arange(len(labels)), labels]
    return losses


def try_heads(
    features: Features,
    labels: Labels,
    num_classes: int,
    *,
    seed: int,
    balanced: bool = False,
    groups: Labels | None = None,
    shrinkages: Sequence[float] = SHRINKAGES,
) -> Trial:
    """Cross-validate heads of each method; see `fit_head`.

    Regressions of rising strength are tried until the log loss has risen twice; then discriminant analyses
    with each of `shrinkages`, alone and in a mean with the best regression.
    """
    rows = np.arange(len(labels))
    if len(labels) > _CHOSEN_ON:
        rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:_CHOSEN_ON])
    groups = np.arange(len(labels)) if groups is None else groups
    features, labels, groups = features[rows], labels[rows], groups[rows]
    k = min(_FOLDS if len(labels) < _MANY else _FOLDS_OF_MANY, fewest_groups(labels, groups))
    if k < 2 or len(np.unique(labels)) < 2:
        return Trial([], USUAL_METHOD, rows, [], np.zeros((0, num_classes), np.float32))
    cuts = group_folds(labels, groups, k, seed)
    folds = [_Fold(features, labels, *cut, balanced=balanced) for cut in cuts]
    tried: list[tuple[Candidate, Features]] = []

    def take(method: Method, logits: Features) -> None:
        accuracy = float((logits.argmax(axis=1) == labels).mean())
        tried.append((Candidate(method, log_loss(logits, labels), accuracy), logits))

    def predict(method: Method) -> Features:
        logits = np.full((len(labels), num_classes), _ABSENT, np.float32)
        for fold in folds:
            fold.predict_into(logits, method)
        return logits

    for strength in STRENGTHS:
        take(Method(strength), predict(Method(strength)))
        losses = [candidate.log_loss for candidate, _logits in tried]
        if len(losses) > 2 and min(losses[-2:]) > min(losses[:-2]):
            break
    regression, logits = min(tried, key=lambda one: one[0].log_loss)
    for shrinkage in shrinkages:
        found = predict(Method(0.0, shrinkage))
        factor = min(_FACTORS, key=lambda factor: log_loss(found * np.float32(factor), labels))
        found *= np.float32(factor)
        take(Method(0.0, shrinkage, float(factor)), found)
        both = Method(regression.method.strength, shrinkage, float(factor))
        take(both, (logits + found) / np.float32(2))
    best, logits = min(tried, key=lambda one: one[0].log_loss)
    return Trial([candidate for candidate, _l in tried], best.method, rows, cuts, logits)


def fewest_groups(labels: Labels, groups: Labels) -> int:
    """How many groups the class has that has fewest."""
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    counts = np.bincount(pairs[0])
    return int(counts[counts > 0].min())


class _Fold:
    """A part of the rows to fit on, and the rest to measure on; each fit begins where the last ended."""

    def __init__(
        self, features: Features, labels: Labels, train: Labels, held_out: Labels, *, balanced: bool
    ) -> None:
        mean, scale = _statistics(features[train])
        self._x, self._y = (features[train] - mean) / scale, labels[train]
        self._held_x, self._held_out = (features[held_out] - mean) / scale, held_out
        self._model, self._balanced = _regression(balanced=balanced), balanced

    def predict_into(self, logits: Features, method: Method) -> None:
        """Fit a method of one part, and write what it gives for the held-out rows into logits (n, K)."""
        if method.shrinkage:
            layer = _discriminant(self._x, self._y, method, balanced=self._balanced)
        else:
            _fit(self._model, self._x, self._y, method.strength)
            layer = (self._model.classes_, *_layer(self._model))
        classes, coefficients, intercept = layer
        logits[np.ix_(self._held_out, classes)] = self._held_x @ coefficients.T + intercept


def _statistics(features: Features) -> tuple[NDArray[np.float32], np.float32]:
    """The mean (F,) of each feature, and the mean of their standard deviations.

    One scale for all of them: from ten photos a class each feature's own is known so badly that the
    accuracy on others falls by two points (docs/transfer.md).
    """
    scale = np.float32(features.std(axis=0).mean())
    return features.mean(axis=0), scale if scale > 1e-6 else np.float32(1)


def _regression(*, balanced: bool, tolerance: float = TOLERANCE) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        max_iter=_STEPS,
        tol=tolerance,
        class_weight="balanced" if balanced else None,
        warm_start=True,
    )


def _discriminant(
    x: Features, y: Labels, method: Method, *, balanced: bool
) -> tuple[Labels, Floats, Floats]:
    """The classes that there are, coefficients and intercepts, multiplied by the method's factor."""
    with _one_thread():
        classes, weight, bias = fit_discriminant(x, y, method.shrinkage, balanced=balanced)
    return classes, method.factor * weight, method.factor * bias


def _layer(model: Any) -> tuple[Floats, Floats]:
    """Coefficients (K, F) and intercepts (K,) of the classes that it has seen."""
    coefficients, intercept = model.coef_, model.intercept_
    if len(coefficients) == 1:  # two classes: one row, which speaks for the second
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    return coefficients, intercept


@functools.cache
def _libraries() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _one_thread() -> AbstractContextManager[Any]:
    """Products as small as a head's take eight times as long on two threads (docs/experiments.md)."""
    limits: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limits


def _fit(model: Any, x: Features, y: Labels, strength: float) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), _one_thread():
        # In float32 the gradient seldom gets as small as asked; the loss stands still long before.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(C=strength).fit(x, y)
