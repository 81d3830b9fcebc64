"""From what a network gives for each view of an image to probabilities, as `model.onnx` does it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from olhar.native.steps import Network

Pixels = NDArray[np.uint8]


def views_of(pixels: Pixels, views: str) -> list[tuple[Pixels, float]]:
    """An image (H, W, C) uint8 → its views with their weights, which add up to 1.

    Args:
        pixels: the image.
        views: none, mirror, shift or mirror_shift, as in `ModelConfig`.
    """
    shown = [(pixels, 1.0)]
    if views.endswith("shift"):
        height, width = pixels.shape[:2]
        padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), "reflect")
        shown = [
            (pixels, 0.5),
            (padded[:height, :width], 0.25),
            (padded[2:, 2:], 0.25),
        ]
    if views.startswith("mirror"):
        shown += [(view[:, ::-1], weight) for view, weight in shown]
    total = sum(weight for _view, weight in shown)
    return [(np.ascontiguousarray(view), weight / total) for view, weight in shown]


def mean_over_views(
    compute: Callable[[Pixels], NDArray[np.float32]], pixels: Pixels, views: str
) -> NDArray[np.float64]:
    """The weighted mean of what `compute` gives for each view of an image (H, W, C) uint8."""
    parts = [weight * compute(view).astype(np.float64) for view, weight in views_of(pixels, views)]
    total: NDArray[np.float64] = np.sum(parts, axis=0)
    return total


def probabilities(logits: NDArray[np.float64], network: Network) -> NDArray[np.float64]:
    """Logits (K,) → probabilities (K,)."""
    scaled = logits.ravel() / network.temperature
    shares = np.exp(scaled - scaled.max())
    answer: NDArray[np.float64] = shares / shares.sum()
    return answer
