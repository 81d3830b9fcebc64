"""Whether an image is like any that a classifier has learnt from, or shows none of its classes.

The measure is how far its features lie from those of training images: the distance to the k-th
nearest of them (Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors",
section 3). It knows neither networks nor files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 0.95  # of images of the classes, that are to pass without a warning
FEWEST = 20  # images that a threshold can be chosen on
MOST_NEIGHBOURS = 2000  # training images that are kept
LEAST_AREA = 0.9  # under the curve, of images that show nothing; below it nothing is warned of
_NEIGHBOUR = 5

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Neighbours:
    """Training images as a network sees them, to compare others with.

    Attributes:
        features: (M, L), each row of length 1; numbers that float16 holds, as it is in the file. They
            are the last L of what the network gives: those of earlier layers (`backbones.Tap`), which
            come before, tell worse what shows none of the classes (docs/experiments.md).
        neighbour: k: which of the nearest counts.
        threshold: an image at a greater distance is an outlier.
    """

    features: Floats
    neighbour: int
    threshold: float

    def distances(self, features: Floats) -> Floats:
        """Features (N, F), F ≥ L → 1 - cosine to the k-th nearest training image, (N,), from 0 to 2."""
        last = features[:, -self.features.shape[1] :]
        similar = _unit(last) @ self.features.T  # (N, M)
        nearest: Floats = np.partition(similar, -self.neighbour, axis=1)[:, -self.neighbour]
        return 1 - nearest

    def to_dict(self) -> dict[str, Any]:
        """What config.json says of it."""
        return {"neighbour": self.neighbour, "threshold": self.threshold, "kept": KEPT}


def choose_neighbours(train: Floats, val: Floats, *, frozen: bool) -> Neighbours | None:
    """Training images to compare with, and a threshold that 95 of 100 held-out images pass.

    Args:
        train: (n, L), the last features of training images.
        val: (m, L) or more, of validation images.
        frozen: whether the features were not trained on the training images. These then help to
            choose the threshold, each measured by the others.

    Returns:
        None where there are too few images to choose a threshold.
    """
    if len(val) + (len(train) if frozen else 0) < FEWEST or len(train) <= _NEIGHBOUR:
        return None
    features = _unit(train).astype(np.float16).astype(np.float32)
    distances = Neighbours(features, _NEIGHBOUR, 0.0).distances(val)
    if frozen:  # the nearest of all is the image itself
        others = Neighbours(features, _NEIGHBOUR + 1, 0.0).distances(train)
        distances = np.concatenate([distances, others])
    return Neighbours(features, _NEIGHBOUR, float(np.quantile(distances, KEPT)))


def tells_apart(neighbours: Neighbours, val: Floats, strange: Sequence[Floats]) -> bool:
    """Whether the distance tells images that show nothing from those of the classes.

    Args:
        neighbours: what images are compared with.
        val: (m, F), features of validation images.
        strange: several (s, F), of images that show nothing.

    Returns:
        True where each area under the curve is `LEAST_AREA` or more.
    """
    usual = neighbours.distances(val)
    return all(area(usual, neighbours.distances(one)) >= LEAST_AREA for one in strange)


def area(usual: Floats, strange: Floats) -> float:
    """The share of pairs, one of each, where the strange one is greater: the area under the curve."""
    order = np.sort(usual)
    above = np.searchsorted(order, strange, "left") + np.searchsorted(order, strange, "right")
    return float(above.mean() / (2 * len(usual)))


def _unit(features: Floats) -> Floats:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = features / np.maximum(lengths, 1e-12)
    return unit
