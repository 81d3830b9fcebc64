"""Probabilities that mean what they say: a temperature, and a threshold for "not sure".

Both are chosen on the validation split. Does not know: networks, models, files.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olhar.errors import ConfigError
from olhar.evaluation.metrics import Floats, check_predictions, expected_calibration_error
from olhar.i18n import _

LOWEST, HIGHEST = 0.05, 20.0  # temperatures
_STEPS = 40  # of the golden section search: the last interval is 3e-8 of the first


def fit_temperature(probs: NDArray[np.floating], labels: ArrayLike) -> float:
    """Find the temperature that makes probabilities fit the labels best.

    Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2: the temperature
    with the least negative log likelihood. One image more is imagined, with a label of 1/K for each
    class, as Platt's targets do ("Probabilistic outputs for support vector machines", 1999, section
    2.2): where all of a few images are right, the likelihood alone would ask for certainty. Ten
    images of two classes, all right, come to 95 %; with thousands it changes nothing.

    Args:
        probs: (N, K) float, at temperature 1, rows add up to 1; their logarithms are logits.
        labels: (N,) integers.

    Returns:
        Between 0.05 and 20; over 1 where the network is too sure of itself.

    Raises:
        DataError: there are no images, or shapes, indices or probabilities cannot be used.
    """
    labels = check_predictions(probs, labels)
    logits = _logits(probs)  # (N, K)
    n = len(labels)
    true = logits[np.arange(n), labels]  # (N,)
    target = (n * true + logits.mean(axis=1)) / (n + 1)  # (N,): the expected logit

    def loss(log_temperature: float) -> float:
        scale = exp(-log_temperature)
        return float((_log_sum_exp(logits * scale) - target * scale).mean())

    return exp(_golden_section(loss, log(LOWEST), log(HIGHEST)))


def apply_temperature(probs: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """Probabilities as they are at another temperature; 1 / temperature takes it back.

    Args:
        probs: (N, K) float, rows add up to 1.
        temperature: divides the logits; over 0.

    Returns:
        (N, K) float32; the order of the classes stays.

    Raises:
        ConfigError: the temperature is not over 0.
    """
    if not 0 < temperature < float("inf"):
        raise ConfigError(
            _("temperature is {given}; allowed: numbers over 0", given=f"{temperature:g}")
        )
    if temperature == 1:
        return np.asarray(probs, np.float32)
    logits = _logits(probs) / temperature
    return np.exp(logits - _log_sum_exp(logits)[:, None]).astype(np.float32)


def choose_threshold(probs: NDArray[np.floating], labels: ArrayLike, precision: float) -> float:
    """Find the threshold that keeps the most images while `precision` of those kept are right.

    Selection by the top probability: Geifman and El-Yaniv, "Selective classification for deep
    neural networks", NeurIPS 2017, section 3.

    Args:
        probs: (N, K) float, at the temperature that the model will have.
        labels: (N,) integers.
        precision: the share of right ones wanted, 0 to 1.

    Returns:
        0 where all images together reach `precision`. Otherwise the lowest threshold such that, of
        the images at or above it, at least `precision` are right; where none does that, the one
        that comes nearest (of several, the highest). It lies half-way between two images' top
        probabilities, so that rounding moves no image across it.

    Raises:
        ConfigError: `precision` is not between 0 and 1.
        DataError: there are no images, or shapes, indices or probabilities cannot be used.
    """
    if not 0 <= precision <= 1:
        raise ConfigError(_("precision is {given}; allowed: 0 to 1", given=f"{precision:g}"))
    labels = check_predictions(probs, labels)
    order = np.argsort(-probs.max(axis=1), kind="stable")  # surest first
    sureness = probs.max(axis=1)[order]  # (N,)
    right = np.cumsum(probs.argmax(axis=1)[order] == labels[order])  # (N,): among the surest 1..N
    last = np.append(np.flatnonzero(np.diff(sureness)), len(labels) - 1)  # of images equally sure
    shares = right[last] / (last + 1)
    reached = np.flatnonzero(shares >= precision)
    kept = reached[-1] if len(reached) else shares.argmax()
    if len(reached) and kept == len(last) - 1:
        return 0.0
    below = sureness[last[min(kept + 1, len(last) - 1)]]
    return float((sureness[last[kept]].astype(np.float64) + below) / 2)


def describe_calibration(
    probs: NDArray[np.floating], labels: ArrayLike, *, temperature: float, threshold: float
) -> dict[str, float]:
    """What a temperature and a threshold did.

    Args:
        probs: (N, K) float, at `temperature`; N is at least 1.
        labels: (N,) integers.
        temperature: of the model.
        threshold: a top probability below it is "not sure".

    Returns:
        `temperature`; `ece_before` (at temperature 1) and `ece_after`, expected calibration errors;
        `threshold`; `coverage`, the share of images at or above it; `sure_accuracy`, the share of
        those that is right (0 where there are none).
    """
    sure = probs.max(axis=1) >= threshold  # (N,) bool
    right = probs.argmax(axis=1) == np.asarray(labels)  # (N,) bool
    before = apply_temperature(probs, 1 / temperature)
    return {
        "temperature": float(temperature),
        "ece_before": expected_calibration_error(before, labels),
        "ece_after": expected_calibration_error(probs, labels),
        "threshold": float(threshold),
        "coverage": float(sure.mean()),
        "sure_accuracy": float(right[sure].mean()) if sure.any() else 0.0,
    }


def _logits(probs: NDArray[np.floating]) -> Floats:
    """(N, K) float64; a probability of 0 counts as the least normal float32."""
    return np.log(np.maximum(probs.astype(np.float64), np.finfo(np.float32).tiny))


def _log_sum_exp(logits: Floats) -> Floats:
    """(N, K) → (N,)."""
    highest = logits.max(axis=1)
    total: Floats = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1))
    return total


def _golden_section(loss: Callable[[float], float], low: float, high: float) -> float:
    """Where `loss` is least between `low` and `high`; it must have one valley (Kiefer 1953)."""
    ratio = (sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _step in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return (low + high) / 2
