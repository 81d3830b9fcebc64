"""Numbers from predictions: a confusion matrix, and everything that follows from it.

Does not know: files, class names, or where predictions come from. Every score is a function of the
confusion matrix and works over any leading axes, so that an estimate and its bootstrap resamples go
through the same lines.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from olhar.errors import DataError
from olhar.i18n import _

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

AVERAGED = ("precision", "recall", "f1")
_CELLS_AT_ONCE = 2_000_000  # bounds the bootstrap's memory at about 50 MB


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> Counts:
    """Count predictions by true and predicted class.

    Args:
        labels: (N,) integers, the true class indices.
        predicted: (N,) integers, the predicted class indices.
        num_classes: K.

    Returns:
        (K, K) int64: rows are the true class, columns the predicted class.

    Raises:
        DataError: the two differ in length, or an index is not in 0..K-1.
    """
    true, guess = np.asarray(labels), np.asarray(predicted)
    if true.ndim != 1 or true.shape != guess.shape:
        raise DataError(
            _(
                "labels of shape {labels} do not fit predictions of shape {predicted};"
                " give one label and one prediction for each image",
                labels=true.shape,
                predicted=guess.shape,
            )
        )
    check_indices(true, num_classes)
    check_indices(guess, num_classes)
    cells = true.astype(np.int64) * num_classes + guess.astype(np.int64)  # (N,) int64
    counts = np.bincount(cells, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def check_indices(indices: NDArray[np.integer], num_classes: int) -> None:
    """Refuse class indices that are not in 0..num_classes-1 with a DataError."""
    if indices.size and (indices.min() < 0 or indices.max() >= num_classes):
        raise DataError(
            _(
                "class indices run from {lowest} to {highest}; with {num_classes} classes they"
                " may be 0 to {last}; check that data and model have the same classes",
                lowest=int(indices.min()),
                highest=int(indices.max()),
                num_classes=num_classes,
                last=num_classes - 1,
            )
        )


def check_predictions(
    probs: NDArray[np.floating], labels: ArrayLike, num_classes: int | None = None
) -> Counts:
    """Refuse predictions that cannot be measured; return labels as (N,) int64.

    Args:
        probs: (N, K) float.
        labels: (N,) integers.
        num_classes: K, where it is known otherwise.

    Raises:
        DataError: there are no images, shapes or class indices do not fit, or a probability is
            not a number.
    """
    labels = np.asarray(labels)
    if num_classes is None:
        num_classes = probs.shape[-1]
    if probs.shape != (len(labels) if labels.ndim == 1 else -1, num_classes):
        raise DataError(
            _(
                "probabilities of shape {probs} do not fit {classes} classes and labels of shape"
                " {labels}; give one row for each image and one column for each class",
                probs=probs.shape,
                classes=num_classes,
                labels=labels.shape,
            )
        )
    if len(labels) == 0:
        raise DataError(_("there are no images to measure; choose a split that has some"))
    check_indices(labels, num_classes)
    if not np.isfinite(probs).all():
        bad = int((~np.isfinite(probs)).any(axis=1).sum())
        raise DataError(
            _(
                "{bad} of {n} predictions have a probability that is not a number;"
                " the model is damaged or has diverged: train it again",
                bad=bad,
                n=len(labels),
            )
        )
    return labels.astype(np.int64)


def scores(confusion: NDArray[np.integer]) -> dict[str, NDArray[np.float64 | np.int64]]:
    """Compute accuracy, precision, recall and F1, per class and averaged.

    A share of nothing is 0. Averages run over all K classes, those that never occur included, as
    scikit-learn's do with `labels=range(K), zero_division=0`.

    Args:
        confusion: (..., K, K) counts, rows the true class.

    Returns:
        `accuracy` (...,); `precision`, `recall`, `f1` (..., K) float64; `support` (..., K) int64;
        `macro_` and `weighted_` followed by `precision`, `recall`, `f1`: (...,) float64.
    """
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)  # (..., K)
    support = confusion.sum(axis=-1)  # (..., K)
    predicted = confusion.sum(axis=-2)  # (..., K)
    n = support.sum(axis=-1)  # (...,)
    found: dict[str, NDArray[np.float64 | np.int64]] = {
        "accuracy": _share(correct.sum(axis=-1), n),
        "precision": _share(correct, predicted),
        "recall": _share(correct, support),
        "f1": _share(2 * correct, support + predicted),
        "support": support.astype(np.int64),
    }
    for name in AVERAGED:
        found[f"macro_{name}"] = found[name].mean(axis=-1)
        found[f"weighted_{name}"] = _share((found[name] * support).sum(axis=-1), n)
    return found


def _share(part: ArrayLike, whole: ArrayLike) -> Floats:
    """`part` / `whole`, and 0 where `whole` is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    share = np.zeros_like(part)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def wilson_interval(
    successes: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """Confidence interval of a share.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.

    Args:
        successes: (...,) counts.
        n: (...,) how many there were; where it is 0 the interval is 0 to 1.
        confidence: between 0 and 1.

    Returns:
        Lower and upper bounds, each (...,) float64.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    hits, total = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    share = _share(hits, total)
    shrink = np.where(total > 0, total, 1.0)
    centre = (share + z**2 / (2 * shrink)) / (1 + z**2 / shrink)
    spread = share * (1 - share) / shrink + z**2 / (4 * shrink**2)
    half = z * np.sqrt(spread) / (1 + z**2 / shrink)
    # At 0 and n the bound is the share itself; arithmetic alone would miss it by a rounding error.
    low = np.where((hits == 0) | (total == 0), 0.0, centre - half)
    high = np.where((hits == total) | (total == 0), 1.0, centre + half)
    return low, high


def difference_interval(
    first: int, of_first: int, second: int, of_second: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of the difference of two shares of different images, first - second.

    Newcombe, "Interval estimation for the difference between independent proportions: comparison of
    eleven methods", Statistics in Medicine 17, 1998, method 10.

    Args:
        first, of_first: a count, and of how many it is.
        second, of_second: the same of the other.
        confidence: between 0 and 1.

    Returns:
        Lower and upper bound, -1 to 1.
    """
    a, b = first / of_first, second / of_second
    (low_a, high_a), (low_b, high_b) = (
        map(float, wilson_interval(*counts, confidence))
        for counts in ((first, of_first), (second, of_second))
    )
    below = np.hypot(a - low_a, high_b - b)
    above = np.hypot(high_a - a, b - low_b)
    return float(a - b - below), float(a - b + above)


def bootstrap_intervals(
    confusion: NDArray[np.integer], resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of the averaged scores.

    Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979. Drawing
    images with replacement is drawing confusion matrix cells from a multinomial. Each true class is
    drawn by itself, with its own number of images (stratified, as the splits are); otherwise a
    class with few images would often be missing from a resample, count as 0 and pull the interval
    below the estimate.

    Args:
        confusion: (K, K) counts, rows the true class.
        resamples: how many matrices to draw.
        seed: of the draw; the same seed gives the same interval.
        confidence: between 0 and 1.

    Returns:
        (low, high) by `macro_precision`, `macro_recall`, `macro_f1`, and the same for `weighted_`.
    """
    rng = np.random.default_rng(seed)
    num_classes = len(confusion)
    support = confusion.sum(axis=1)  # (K,)
    shares = _share(confusion, np.broadcast_to(support[:, None], confusion.shape))  # (K, K)
    names = [f"{average}_{name}" for average in ("macro", "weighted") for name in AVERAGED]
    drawn: dict[str, list[NDArray[np.float64 | np.int64]]] = {name: [] for name in names}
    chunk = max(1, _CELLS_AT_ONCE // num_classes**2)
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        found = scores(rng.multinomial(support, shares, size=(count, num_classes)))
        for name in names:
            drawn[name].append(found[name])
    ends = ((1 - confidence) / 2, (1 + confidence) / 2)
    intervals = {}
    for name in names:
        low, high = np.quantile(np.concatenate(drawn[name]), ends)
        intervals[name] = (float(low), float(high))
    return intervals


def reliability_bins(
    probs: NDArray[np.floating], labels: ArrayLike, bins: int = 15
) -> tuple[Counts, Floats, Floats]:
    """Sort predictions by how sure they are: what a reliability diagram shows.

    Guo et al., "On calibration of modern neural networks", ICML 2017, section 2: bins of equal
    width, (0, 1/bins], (1/bins, 2/bins] and so on.

    Args:
        probs: (N, K) float, rows add up to 1.
        labels: (N,) integers.
        bins: how many.

    Returns:
        How many predictions are in each bin (bins,) int64; their mean top probability (bins,)
        float64; the share of them that is right (bins,) float64; both 0 in empty bins.
    """
    confidence = probs.max(axis=1).astype(np.float64)  # (N,)
    right = probs.argmax(axis=1) == np.asarray(labels)  # (N,) bool
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)  # (N,)
    counts = np.bincount(place, minlength=bins)
    mean = _share(np.bincount(place, weights=confidence, minlength=bins), counts)
    return counts, mean, _share(np.bincount(place, weights=right, minlength=bins), counts)


def expected_calibration_error(
    probs: NDArray[np.floating], labels: ArrayLike, bins: int = 15
) -> float:
    """Mean distance between how sure predictions are and how often they are right.

    Guo et al., ICML 2017, section 2: over `reliability_bins`, weighted by their counts.

    Args:
        probs: (N, K) float, rows add up to 1; N is at least 1.
        labels: (N,) integers.
        bins: how many.

    Returns:
        Between 0 (calibrated) and 1.
    """
    counts, confidence, accuracy = reliability_bins(probs, labels, bins)
    return float((counts * np.abs(accuracy - confidence)).sum() / counts.sum())


def negative_log_likelihood(probs: NDArray[np.floating], labels: ArrayLike) -> float:
    """Mean of -log p(true class), in nats; a probability of 0 counts as the least normal float32.

    Args:
        probs: (N, K) float, rows add up to 1; N is at least 1.
        labels: (N,) integers.
    """
    true = probs[np.arange(len(probs)), np.asarray(labels)].astype(np.float64)  # (N,)
    return float(-np.log(np.maximum(true, np.finfo(np.float32).tiny)).mean() + 0.0)
