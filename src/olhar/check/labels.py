"""Photos whose label the others contradict: confident learning over out-of-fold probabilities.

Does not know: files, or where features come from. The features that it makes itself need no
network: they tell digits, letters and simple shapes apart, not ants from bees.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from olhar.images import to_channels

_SIDE, _CELL, _DIRECTIONS = 32, 4, 8  # of the features; pixels, pixels, count
_COMPONENTS = 128
_PIXELS = 0.4  # weight of the image itself beside its gradients
_ACROSS = np.arange(_SIDE) // _CELL
# (32, 32): where the histogram of each pixel's cell begins.
_CELLS = (_ACROSS[:, None] * (_SIDE // _CELL) + _ACROSS) * _DIRECTIONS
_FOLDS = 5
_CENTRES, _STRENGTH = 300, 100.0  # scikit-learn's n_components and C
_MOST_FIT = 20_000  # images a fold learns from; more change the answer little and take long


@dataclass(frozen=True)
class LabelCheck:
    """What the labels look like to a model that has not seen them.

    Attributes:
        accuracy: share of images whose label is the most probable class, out of fold, the mean
            over the classes.
        suspects: (M,) int64, rows whose label is doubted, the most doubtful first.
        suggested: (M,) int64, the class they look like.
        probability: (M,) float64, of that class.
    """

    accuracy: float
    suspects: NDArray[np.int64]
    suggested: NDArray[np.int64]
    probability: NDArray[np.float64]


def check_labels(features: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> LabelCheck:
    """Find the labels that cross-validated predictions contradict with confidence.

    Source: Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
    Labels", JAIR 70. Section 3.1: a class's threshold is the mean probability of that class among
    the images labelled so; an image is counted for the most probable of the classes whose
    threshold it reaches. Section 3.2, prune by noise rate: of the images of a class, as many as
    were counted for another (in proportion, over all images of the class) are doubted, those with
    the largest margin between the two probabilities.

    Args:
        features: (N, D) float32.
        labels: (N,) int64; every class that occurs must occur at least twice.
        seed: of the folds.
    """
    classes, given = np.unique(labels, return_inverse=True)
    probs = out_of_fold(features, given, seed)  # (N, K) float64
    count = len(classes)
    own = probs[np.arange(len(given)), given]
    thresholds = np.array([own[given == k].mean() for k in range(count)])
    reached = np.where(probs >= thresholds, probs, -1.0)
    counted = reached.max(axis=1) >= 0
    joint = np.zeros((count, count))
    np.add.at(joint, (given[counted], reached.argmax(axis=1)[counted]), 1)
    shares = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1)
    doubted: dict[int, tuple[float, int]] = {}  # row → margin, suggested class
    for label in range(count):
        members = np.flatnonzero(given == label)
        for other in np.flatnonzero(np.arange(count) != label).tolist():
            margins = probs[members, other] - probs[members, label]
            wrong = round(shares[label, other] * len(members))
            for place in np.argsort(-margins, kind="stable")[:wrong].tolist():
                row, margin = int(members[place]), float(margins[place])
                if margin > doubted.get(row, (0.0, 0))[0]:
                    doubted[row] = margin, other
    hits = probs.argmax(axis=1) == given
    accuracy = float(np.mean([hits[given == k].mean() for k in range(count)]))
    suspects = np.array(sorted(doubted, key=lambda row: -doubted[row][0]), np.int64)
    suggested = np.array([doubted[row][1] for row in suspects], np.int64)
    return LabelCheck(accuracy, suspects, classes[suggested], probs[suspects, suggested])


def out_of_fold(
    features: NDArray[np.float32], labels: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """(N, K) float64: probabilities of each image by a model that has not seen it.

    A logistic regression over radial basis functions (Nyström's approximation: Williams and Seeger
    2001, "Using the Nyström Method to Speed Up Kernel Machines").

    Args:
        features: (N, D) float32.
        labels: (N,) int64, 0 to K - 1, each at least twice.
        seed: of the folds.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline

    count, width = features.shape
    # To one variance in all, so that one strength of regularisation suits any features.
    features = features / max(float(np.sqrt(features.var(axis=0).sum())), 1e-6)
    folds = min(_FOLDS, int(np.bincount(labels).min()))
    probs = np.zeros((count, int(labels.max()) + 1))
    generator = np.random.default_rng(seed)
    for learn, judge in StratifiedKFold(folds, shuffle=True, random_state=seed).split(
        features, labels
    ):
        some = generator.permutation(learn)[:_MOST_FIT]
        components = min(_COMPONENTS, width, len(some) - 1)
        model = make_pipeline(
            PCA(components, random_state=seed),
            Nystroem(gamma=1, n_components=min(_CENTRES, len(some)), random_state=seed),
            LogisticRegression(C=_STRENGTH, max_iter=200),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[some], labels[some])
        found = model.named_steps["logisticregression"].classes_
        probs[np.ix_(judge, found)] = model.predict_proba(features[judge])
    return probs


def simple_features(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Shape and colour of images, without a network.

    Histograms of gradient directions (Dalal and Triggs 2005, "Histograms of Oriented Gradients for
    Human Detection", section 6, with directions signed and cells normalised over the image), the
    image at 8×8 pixels, and for colour images a histogram of 4×4×4 colours.

    Args:
        images: (N, H, W, C) uint8.
        rows: (n,) int64, which of them.

    Returns:
        (n, D) float32; D depends on C alone.
    """
    return np.stack([_simple_features(np.asarray(images[row])) for row in rows])


def _simple_features(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    colour = image.shape[-1] == 3
    picture = Image.fromarray(image if colour else image[:, :, 0])
    small = np.asarray(picture.resize((8, 8), Image.Resampling.BOX), np.float32).ravel()
    small *= _PIXELS / 255 / np.sqrt(image.shape[-1], dtype=np.float32)
    square = np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    grey = to_channels(square.reshape(_SIDE, _SIDE, -1), 1)[:, :, 0].astype(np.float32)
    parts: list[NDArray[Any]] = [_gradients(grey), small]
    if colour:
        bins = (square >> 6).astype(np.int64) @ np.array([16, 4, 1])
        parts.append(np.sqrt(np.bincount(bins.ravel(), minlength=64) / bins.size))
    return np.concatenate(parts).astype(np.float32)


def _gradients(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """(32, 32) float32 → histograms of directions in 8×8 cells, (512,) float32."""
    down, along = np.gradient(grey)
    strength = np.hypot(down, along)
    turn = (np.arctan2(down, along) / (2 * np.pi) * _DIRECTIONS) % _DIRECTIONS
    low = turn.astype(np.int64) % _DIRECTIONS
    share = turn - np.floor(turn)
    size = (_SIDE // _CELL) ** 2 * _DIRECTIONS
    found = np.bincount((_CELLS + low).ravel(), (strength * (1 - share)).ravel(), size)
    found += np.bincount(
        (_CELLS + (low + 1) % _DIRECTIONS).ravel(), (strength * share).ravel(), size
    )
    root = np.sqrt(found / max(float(found.sum()), 1e-6))
    return root.astype(np.float32)
