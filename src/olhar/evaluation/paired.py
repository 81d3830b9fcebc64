"""Whether two classifiers differ, from the same images answered by both.

Does not know: runs, files, or what the answers are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from olhar.evaluation.metrics import wilson_interval


def mcnemar_mid_p(first_only: int, second_only: int) -> float:
    """McNemar's mid-p test: are two classifiers right equally often?

    Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data: mid-p and
    asymptotic are better than exact conditional", BMC Medical Research Methodology 13:91, 2013.

    Args:
        first_only: images that only the first has right.
        second_only: images that only the second has right.

    Returns:
        The two-sided p-value; 1 where they agree on all images.
    """
    n, fewer = first_only + second_only, min(first_only, second_only)
    term = tail = 1  # the ways to choose 0 of n; whole numbers, so that nothing is rounded
    for chosen in range(fewer):
        term = term * (n - chosen) // (chosen + 1)
        tail += term
    if first_only == second_only:
        return 1.0 if n == 0 else float(1 - term / 2 ** (n + 1))
    return float((2 * tail - term) / 2**n)


def paired_interval(
    both: int, first_only: int, second_only: int, neither: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of the difference of two accuracies on the same images, first - second.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based
    on paired data", Statistics in Medicine 17, 1998, method 10.

    Args:
        both: images that both have right; at least one of the four counts is over 0.
        first_only: that only the first has right.
        second_only: that only the second has right.
        neither: that both have wrong.
        confidence: between 0 and 1.
    """
    n = both + first_only + second_only + neither
    ours, theirs = both + first_only, both + second_only
    margins = ours * (n - ours) * theirs * (n - theirs)
    cross = float(both * neither - first_only * second_only)
    if cross > 0:
        cross = max(cross - n / 2, 0.0)  # the paper's continuity correction
    phi = cross / sqrt(margins) if margins else 0.0
    low, high = (ends.tolist() for ends in wilson_interval([ours, theirs], n, confidence))
    below = _combined(ours / n - low[0], high[1] - theirs / n, phi)
    above = _combined(high[0] - ours / n, theirs / n - low[1], phi)
    difference = (first_only - second_only) / n
    return difference - below, difference + above


def _combined(first: float, second: float, phi: float) -> float:
    return sqrt(max(first**2 - 2 * phi * first * second + second**2, 0.0))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
