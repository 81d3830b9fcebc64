"""The training images that a page compares a photo with: at most 200 of them, in 8 bits.

Which are kept, which of the nearest counts and from what distance on a photo is an outlier are chosen anew,
so that the page warns as the model does. What is known of that is measured on the model's own neighbours,
each compared with the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from olhar.outliers import Neighbours

MOST = 200
_LEVELS = 127

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Thinned:
    """Training images as a page has them.

    Attributes:
        rows: (M, F) int8; a row times its scale is a training image's features.
        scales: (M,) float32.
        neighbour: which of the nearest counts, from 1.
        threshold: an image at a greater distance is an outlier.
        agreement: on what share of the model's neighbours it says what all of them say.
        compared: how many images that was measured on.
    """

    rows: NDArray[np.int8]
    scales: Floats
    neighbour: int
    threshold: float
    agreement: float
    compared: int

    @property
    def features(self) -> Floats:
        """(M, F), as the page computes with them."""
        return self.rows.astype(np.float32) * self.scales[:, None]

    def to_bytes(self) -> bytes:
        """The scales, then the rows."""
        return self.scales.astype("<f4").tobytes() + self.rows.tobytes()

    def to_dict(self) -> dict[str, Any]:
        """What the page's scripts know of it."""
        count, width = self.rows.shape
        return {
            "neighbour": self.neighbour,
            "threshold": self.threshold,
            "rows": count,
            "width": width,
        }


def thin(full: Neighbours, most: int = MOST) -> Thinned:
    """A model's neighbours → those of its page.

    Args:
        full: all that the model has.
        most: how many to keep.
    """
    kept = _spread(full.features, min(most, len(full.features)))
    rows, scales = _in_8_bits(full.features[kept])
    features = rows.astype(np.float32) * scales[:, None]
    similar = full.features @ features.T  # (N, M)
    similar[kept, np.arange(len(kept))] = -np.inf  # each is compared with the others
    truth = _distances_to_others(full)
    warned = truth > full.threshold
    best: tuple[float, int, float] | None = None
    for neighbour in range(1, min(full.neighbour, len(kept) - 1) + 1):
        distances = 1 - np.partition(similar, -neighbour, axis=1)[:, -neighbour]
        threshold = _same_share(truth, distances, full.threshold)
        agreement = float(np.mean((distances > threshold) == warned))
        if best is None or agreement >= best[0]:
            best = agreement, neighbour, threshold
    assert best is not None
    return Thinned(rows, scales, best[1], best[2], best[0], len(truth))


def _distances_to_others(full: Neighbours) -> Floats:
    """Of each neighbour from the others, as the model measures it."""
    others = Neighbours(full.features, full.neighbour + 1, full.threshold)  # the nearest is itself
    return others.distances(full.features)


def _same_share(truth: Floats, distances: Floats, threshold: float) -> float:
    """The threshold that as many of `distances` pass as of `truth` pass theirs.

    Where all pass, the margin of the farthest is kept.
    """
    ordered, own = np.sort(truth), np.sort(distances)
    passed = int(np.searchsorted(ordered, threshold, side="right"))
    if passed in {0, len(own)}:
        edge = -1 if passed else 0
        return float(own[edge] * threshold / max(ordered[edge], 1e-6))
    low, high = ordered[passed - 1], ordered[passed]
    share = (threshold - low) / max(high - low, 1e-9)
    return float(own[passed - 1] + share * (own[passed] - own[passed - 1]))


def _spread(features: Floats, count: int) -> NDArray[np.int64]:
    """Which rows to keep: evenly spaced in their order, which is that of the training images."""
    if count == len(features):
        return np.arange(count)
    return np.unique(np.linspace(0, len(features) - 1, count).round().astype(np.int64))


def _in_8_bits(features: Floats) -> tuple[NDArray[np.int8], Floats]:
    scales = np.maximum(np.abs(features).max(axis=1), 1e-12).astype(np.float32) / _LEVELS
    return np.rint(features / scales[:, None]).astype(np.int8), scales
