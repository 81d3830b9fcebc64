"""Linear discriminant analysis: each class as a normal distribution, all of one shrunken covariance.

Sources: Hastie, Tibshirani and Friedman 2009, section 4.3; shrinkage towards equal variances,
Friedman 1989, "Regularized discriminant analysis", equation 18.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def fit_discriminant(
    features: Floats, labels: Labels, shrinkage: float, *, balanced: bool = False
) -> tuple[Labels, Floats, Floats]:
    """The classes (k,) among some labels, and a dense layer for them: weight (k, F), bias (k,).

    Args:
        features: (n, F), centred.
        labels: (n,).
        shrinkage: from 0 to 1, how far the covariance is moved towards equal variances without
            correlation.
        balanced: whether a class counts the same however few images it has.
    """
    classes, rows = np.unique(labels, return_inverse=True)
    means = np.stack([features[rows == at].mean(axis=0) for at in range(len(classes))])
    within = features - means[rows]
    ridge = shrinkage / (1 - shrinkage) * float(np.square(within).sum()) / features.shape[1]
    weight = _inverse_times(within, max(ridge, 1e-6), means) * (len(labels) / (1 - shrinkage))
    shares = np.bincount(rows) / len(rows)
    prior = np.zeros(len(classes)) if balanced else np.log(shares)
    bias = prior - (weight * means).sum(axis=1) / 2
    return classes, weight.astype(np.float32), bias.astype(np.float32)


def _inverse_times(within: Floats, ridge: float, means: Floats) -> Floats:
    """(k, F): the means (k, F) times the inverse of withinᵀ·within + ridge, by the smaller of its sides."""
    count, width = within.shape
    square = within @ within.T if count < width else within.T @ within
    square[np.diag_indices(len(square))] += ridge
    if count >= width:
        found: Floats = np.linalg.solve(square, means.T).T
        return found
    # (WᵀW + r)⁻¹ = (1 - Wᵀ(WWᵀ + r)⁻¹W) / r
    inner = np.linalg.solve(square, within @ means.T)
    other: Floats = (means - (within.T @ inner).T) / np.float32(ridge)
    return other
