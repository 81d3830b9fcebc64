"""How many answers the studio needs: labels given to the least sure photos first, beside random order.

A first model is trained on five photos of each class, as the studio asks for; then a person answers for
photos of the tray, ten at a time, and a head is trained again on all that is labelled. What is compared
is the accuracy on the set's own test photos, with that of a head on all labels. Features, heads and their
regularisation are the product's own.

    OLHAR_DATA=... python benchmarks/labelling.py [--sets hymenoptera,trash] [--draws 5]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from here import describe_here, machine_text
from olhar.pipeline.warming import Warmer
from olhar.progress import Progress
from olhar.training.head import apply_head, fit_head
from photo_sets import find_set, list_photos

FIRST, AT_ONCE, ANSWERS = 5, 10, 50

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


def read(warmer: Warmer, root: Path, part: str) -> tuple[Features, Labels]:
    """Features and labels of a part of a set."""
    photos = list_photos(root / part)
    names = sorted({photo.parent.name for photo in photos})
    labels = np.array([names.index(photo.parent.name) for photo in photos])
    return warmer.features(photos), labels


def accuracy(train: tuple[Features, Labels], test: tuple[Features, Labels], classes: int) -> float:
    """Of a head on some photos."""
    head = fit_head(*train, classes, seed=0)
    return float((apply_head(head, test[0]).argmax(1) == test[1]).mean())


def draw(
    pool: tuple[Features, Labels], test: tuple[Features, Labels], seed: int, order: str
) -> list[float]:
    """Accuracies after the first photos, and after each ten answers."""
    features, labels = pool
    classes = int(labels.max()) + 1
    random = np.random.default_rng(seed)
    known = np.concatenate(
        [random.permutation(np.flatnonzero(labels == one))[:FIRST] for one in range(classes)]
    )
    found = []
    for _round in range(ANSWERS // AT_ONCE + 1):
        head = fit_head(features[known], labels[known], classes, seed=0)
        found.append(float((apply_head(head, test[0]).argmax(1) == test[1]).mean()))
        rest = np.setdiff1d(np.arange(len(labels)), known)
        if order == "random":
            asked = random.permutation(rest)[:AT_ONCE]
        else:
            logits = apply_head(head, features[rest])
            probs = np.exp(logits - logits.max(1, keepdims=True))
            probs /= probs.sum(1, keepdims=True)
            asked = rest[np.argsort(probs.max(1), kind="stable")[:AT_ONCE]]
        known = np.concatenate([known, asked])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="hymenoptera,trash,flowers5")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path(".bench/photos"))
    args = parser.parse_args()
    warmer = Warmer.default(Progress())
    assert warmer is not None
    print(
        "| set | order | "
        + " | ".join(f"{n}" for n in range(0, ANSWERS + 1, AT_ONCE))
        + " | all labels |"
    )
    print("|---|---|" + "---|" * (ANSWERS // AT_ONCE + 2))
    for name in args.sets.split(","):
        root = find_set(name, Path(os.environ["OLHAR_DATA"]), args.work)
        pool, test = read(warmer, root, "train"), read(warmer, root, "test")
        whole = accuracy(pool, test, int(pool[1].max()) + 1)
        for order in ("least sure", "random"):
            rows = np.array([draw(pool, test, seed, order) for seed in range(args.draws)])
            cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(rows.mean(0), rows.std(0), strict=True)]
            print(f"| {name} | {order} | {' | '.join(cells)} | {whole:.3f} |", flush=True)
    print(machine_text(describe_here()))


if __name__ == "__main__":
    main()
